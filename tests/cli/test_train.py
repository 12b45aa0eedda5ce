# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt train``."""

from __future__ import annotations

from .conftest import Started, call


def test_overlays_and_keys(started: Started) -> None:
    code, text = call("train", "ifa", "VOC2012", "--text", "minilm", "--epochs", "3", "--fold", "none", "-o", "out")
    assert code == 0, text
    assert started == [
        {
            "workflow": "training",
            "overlays": ["voc2012", "ifa", "minilm"],
            "keys": {"epochs": 3, "fold": None, "output_dir": "out", "dataset_dir": "VOC2012"},
            "task": "train ifa on voc2012",
        }
    ]


def test_without_a_folder_it_is_the_synthetic_set(started: Started) -> None:
    assert call("train", "pmms")[0] == 0
    assert started[0]["overlays"] == ["synthetic", "pmms"]
    assert started[0]["keys"] == {}
    assert started[0]["task"] == "train pmms on synthetic"


def test_a_host_must_be_named(started: Started) -> None:
    assert call("train")[0] == 2
    assert call("train", "ifa", "--overlay", "missing.json")[0] == 2
    assert started == []
