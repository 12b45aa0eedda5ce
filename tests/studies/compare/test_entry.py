# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from scripts.metrics.bootstrap import Interval
from scripts.studies.compare.entry import KEYS, Entry

VALUE: Interval = {"value": 0.5, "ci95": [0.4, 0.6]}
CHANGE: Interval = {"value": -0.1, "ci95": [-0.2, 0.05]}


def test_a_row_is_flat() -> None:
    row = Entry(("isic", "ifa", "minilm", "off", 1), "class_miou", VALUE, CHANGE, 0.02, 31.5, 7).row()
    assert {key: row[key] for key in KEYS} == {
        "target": "isic", "host": "ifa", "text": "minilm", "refinement": "off", "num_shots": 1,
    }  # fmt: skip
    assert (row["value"], row["ci95_low"], row["ci95_high"]) == (0.5, 0.4, 0.6)
    assert (row["text_change"], row["text_change_low"], row["text_change_high"]) == (-0.1, -0.2, 0.05)
    assert (row["metric"], row["seconds_per_mask"], row["peak_mib"], row["num_masks"]) == ("class_miou", 0.02, 31.5, 7)


def test_without_text_there_is_no_change() -> None:
    entry = Entry(("chaos_mr", "matching", "off", "off", 1), "mean_dice", VALUE, None, 0.02, None, 7)
    row = entry.row()
    assert [row[key] for key in ("text_change", "text_change_low", "text_change_high", "peak_mib")] == [None] * 4
