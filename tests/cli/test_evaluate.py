# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt evaluate``."""

from __future__ import annotations

from pathlib import Path

from .conftest import Started, call


def test_overlays_and_keys(started: Started, tmp_path: Path) -> None:
    over = tmp_path / "over.json"
    over.write_text("{}")
    words = ["data/things", "--data", "wbc", "--host", "matching", "--num_episodes", "7", "--overlay", str(over)]
    code, text = call("evaluate", *words)
    assert code == 0, text
    assert started == [
        {
            "workflow": "evaluating",
            "overlays": ["wbc", "matching", "over"],
            "keys": {"num_episodes": 7, "dataset_dir": "data/things"},
            "task": "evaluate matching on wbc",
        }
    ]


def test_all_by_default(started: Started) -> None:
    assert call("evaluate")[0] == 0
    assert started[0]["overlays"] == ["synthetic", "ifa"]
    assert started[0]["keys"] == {}
    assert started[0]["task"] == "evaluate ifa on synthetic"


def test_a_host_of_the_users(started: Started, tmp_path: Path) -> None:
    own = tmp_path / "mine.json"
    own.write_text("{}")
    assert call("evaluate", "--host", str(own), "--backbone", "resnet50")[0] == 0
    assert started[0]["overlays"] == ["synthetic", "mine", "resnet50"]
    assert started[0]["task"] == "evaluate mine on synthetic"
