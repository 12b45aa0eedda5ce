# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Caches lie in a bundle's own folder, and never beside installed code."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.files import cache_root as module
from scripts.files.cache_root import CACHE_VARIABLE, cache_root


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_bundle", lambda: False)


def test_a_bundle_keeps_them_in_its_folder(bundle_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, "elsewhere")
    assert cache_root() == bundle_root / "cache"


@pytest.mark.usefixtures("_installed")
def test_the_variable_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for given, folder in (
        ("kept", tmp_path / "kept"),
        ("~/kept", tmp_path / "home" / "kept"),
        ("/kept", Path("/kept")),
    ):
        monkeypatch.setenv(CACHE_VARIABLE, given)
        assert cache_root() == folder
        assert not (tmp_path / "kept").exists(), "it is named, not made"


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("value", [None, ""])
def test_else_the_users_cache_folder(
    bundle_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(CACHE_VARIABLE, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "segprompt" in cache_root().parts
    assert not cache_root().is_relative_to(bundle_root)
