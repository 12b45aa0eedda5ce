# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt describe``."""

from __future__ import annotations

from .conftest import Started, call


def test_the_set_names_the_file(started: Started) -> None:
    code, text = call("describe", "kidneys", "--class_names", "left kidney,right kidney")
    assert code == 0, text
    assert started == [
        {
            "workflow": "describe",
            "overlays": [],
            "keys": {
                "class_names": ["left kidney", "right kidney"],
                "output_file": "prompts/kidneys.json",
                "dataset_name": "kidneys",
            },
            "task": "describe the classes of kidneys",
        }
    ]


def test_another_file(started: Started) -> None:
    assert call("describe", "kidneys", "--output_file", "k.json")[0] == 0
    assert started[0]["keys"]["output_file"] == "k.json"
    assert call("describe")[0] == 2
