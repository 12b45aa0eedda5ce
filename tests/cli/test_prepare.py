# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt prepare``."""

from __future__ import annotations

from .conftest import Started, call


def test_set_and_folder(started: Started) -> None:
    code, text = call("prepare", "kvasir", "data/kvasir")
    assert code == 0, text
    assert started == [
        {
            "workflow": "prepare",
            "overlays": [],
            "keys": {"dataset": "kvasir", "dataset_dir": "data/kvasir"},
            "task": "prepare kvasir",
        }
    ]


def test_without_a_set_they_are_listed(started: Started) -> None:
    assert call("prepare")[0] == 0
    assert started[0]["keys"] == {"dataset": None, "dataset_dir": None}
    assert started[0]["task"] == "prepare (no set named)"
