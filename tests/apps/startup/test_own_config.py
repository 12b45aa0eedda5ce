# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Configurations of the bundle, under the name of the installed package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from scripts.apps.startup import own_config
from scripts.apps.startup.own_config import own_names, own_path, settle


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let the rewriting believe that it runs as segprompt; gives the cache folder."""
    cache = tmp_path / "it's a cache"
    monkeypatch.setattr(own_config, "PACKAGE", "segprompt")
    monkeypatch.setattr(own_config, "is_bundle", lambda: False)
    monkeypatch.setattr(own_config, "cache_root", lambda: cache)
    return cache


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("expression", "renamed"),
    [
        ("$import scripts", "$import segprompt"),
        ("$import scripts.apps.reports.table", "$import segprompt.apps.reports.table"),
        ("$from scripts.data import read_wbc", "$from segprompt.data import read_wbc"),
        ("$scripts.data.VOC_CLASSES[:7]", "$segprompt.data.VOC_CLASSES[:7]"),
        ("$[scripts.a(x) for x in scripts.b]", "$[segprompt.a(x) for x in segprompt.b]"),
        ("$lambda x:scripts.f(x)", "$lambda x:segprompt.f(x)"),
        ("$@scripts + @train#scripts + @a::scripts", "$@scripts + @train#scripts + @a::scripts"),
        ("$my.scripts.f() + my_scripts + scripts_of", "$my.scripts.f() + my_scripts + scripts_of"),
        ("$f('scripts.data', \"scripts\", scripts=1)", "$f('scripts.data', \"scripts\", scripts=1)"),
        ("$scripts.x == 1", "$segprompt.x == 1"),
        ("$@bundle_root + '/output/' + @dataset_name", "$'output/' + @dataset_name"),
        ("$@bundle_root + '/prompts/wbc.json'", "$@bundle_root + '/prompts/wbc.json'"),
        ("scripts.data is a sentence", "scripts.data is a sentence"),
        ("@scripts", "@scripts"),
        ("%train#preprocessing", "%train#preprocessing"),
    ],
)
def test_expressions(expression: str, renamed: str) -> None:
    assert own_names({"key": [expression]}) == {"key": [renamed]}


@pytest.mark.usefixtures("installed")
def test_targets() -> None:
    config = {"a": {"_target_": "scripts.data.read_wbc", "name": "scripts.data"}, "b": {"_target_": "$scripts.f"}}
    assert own_names(config) == {
        "a": {"_target_": "segprompt.data.read_wbc", "name": "scripts.data"},
        "b": {"_target_": "$segprompt.f"},
    }
    assert own_path("scripts_of.others.X") == "scripts_of.others.X"


def test_a_bundle_stays_as_it_is() -> None:
    config = {"_target_": "scripts.data.read_wbc", "file": "$@bundle_root + '/cache/a'"}
    assert own_names(config) is config
    assert own_path("scripts.data.read_wbc") == "scripts.data.read_wbc"


def test_macros_are_renamed_too(installed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"part": {"_target_": "scripts.X"}}))
    parser = ConfigParser({"a": {"_target_": "scripts.Y"}, "b": "%a", "c": f"%{other}::part"})
    settle(parser)
    assert parser["b"]["_target_"] == "segprompt.Y"
    assert parser["c"]["_target_"] == "segprompt.X"


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


def test_no_shipped_file_keeps_the_bundle_s_name_or_folders(installed: Path, bundle_root: Path) -> None:
    """What is left of the bundle's folder is read only: descriptions of classes and shipped weights."""
    for path in sorted((bundle_root / "configs").rglob("*.json")):
        for text in strings(own_names(json.loads(path.read_text(encoding="utf-8")))):
            assert not text.startswith(("scripts.", "$scripts.", "$import scripts", "$@bundle_root + '/cache"))
            if "@bundle_root" in text and "write_model" not in text:
                assert "@bundle_root + '/prompts/" in text or "@bundle_root + '/models/" in text, f"{path}: {text}"


def test_the_cache_s_name_is_quoted(installed: Path) -> None:
    parser = ConfigParser({"bundle_root": ".", "file": "$@bundle_root + '/cache/features'"})
    settle(parser)
    assert parser.get_parsed_content("file") == f"{installed.as_posix()}/features"
