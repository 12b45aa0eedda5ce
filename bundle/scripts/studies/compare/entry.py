# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A line of a comparison's table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...metrics.bootstrap import Interval

__all__ = ["KEYS", "Entry"]

KEYS = ("target", "host", "text", "refinement", "num_shots")


@dataclass
class Entry:
    """A line of the table: a combination, all its seeds pooled.

    Attributes:
        key: target, host, text, refinement, number of shots.
        metric: ``class_miou``, or ``mean_dice`` of volumes.
        value: the metric with its interval over cases.
        change: minus the same without text, on the same cases; None without text, or where that was not evaluated.
        seconds_per_mask: after the backbone.
        peak_mib: memory of the first task; None for propagation.
        num_masks: masks that were asked for.
    """

    key: tuple[str, str, str, str, int]
    metric: str
    value: Interval
    change: Interval | None
    seconds_per_mask: float
    peak_mib: float | None
    num_masks: int

    def row(self) -> dict[str, Any]:
        """Flat values for CSV and JSON, fractions."""
        change: Interval | dict[str, Any] = self.change or {"value": None, "ci95": [None, None]}
        return {
            **dict(zip(KEYS, self.key, strict=True)),
            "metric": self.metric,
            "value": self.value["value"],
            "ci95_low": self.value["ci95"][0],
            "ci95_high": self.value["ci95"][1],
            "text_change": change["value"],
            "text_change_low": change["ci95"][0],
            "text_change_high": change["ci95"][1],
            "seconds_per_mask": self.seconds_per_mask,
            "peak_mib": self.peak_mib,
            "num_masks": self.num_masks,
        }
