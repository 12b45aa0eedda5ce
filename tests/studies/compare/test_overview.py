# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from scripts.metrics.bootstrap import Interval
from scripts.studies.compare.entry import Entry
from scripts.studies.compare.overview import overview


def entry(target: str, host: str, text: str, refinement: str, shots: int, value: float, change: float | None) -> Entry:
    def interval(middle: float) -> Interval:
        return {"value": middle, "ci95": [middle - 0.1, middle + 0.1]}

    changed = None if change is None else interval(change)
    return Entry((target, host, text, refinement, shots), "class_miou", interval(value), changed, 0.1, 3.0, 7)


def test_hosts_down_targets_across() -> None:
    """A table per refinement and number of shots; what was not evaluated is empty."""
    text = overview(
        [
            entry("isic", "ifa", "off", "off", 1, 0.5, None),
            entry("wbc", "ifa", "off", "off", 1, 0.25, None),
            entry("isic", "ifa", "minilm", "off", 1, 0.52, 0.02),
            entry("isic", "ifa", "off", "cut", 5, 0.7, None),
        ]
    )
    assert text.splitlines() == [
        "### refinement off, 1 shot",
        "",
        "| host | text | isic | wbc |",
        "| --- | --- | ---: | --- |",
        "| ifa | off | 50.0 (40.0 to 60.0) | 25.0 (15.0 to 35.0) |",
        "| ifa | minilm | 52.0, +2.0 (-8.0 to +12.0) |  |",
        "",
        "### refinement cut, 5 shots",
        "",
        "| host | text | isic |",
        "| --- | --- | ---: |",
        "| ifa | off | 70.0 (60.0 to 80.0) |",
    ]
