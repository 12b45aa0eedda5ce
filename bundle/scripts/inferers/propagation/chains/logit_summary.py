# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What is kept of the logits of all labels on all slices: one map a slice and a few numbers, not a map a label."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["LogitSummary"]

DOUBT_BAND = 1.2  # a logit this near to 0 is in doubt


class LogitSummary:
    """Filled slice by slice, as the output is made.

    Args:
        shape: (Z, h, w).
        keep_highest: whether the highest logit per pixel is kept, which the probability of any label needs.

    Attributes:
        highest: (Z, h, w), the highest logit of any label, -inf where none was considered; None unless kept.
        strongest: by (slice, label), the highest logit of the label on the slice.
        doubtful: by (slice, label), the number of pixels whose logit is near 0.
    """

    def __init__(self, shape: tuple[int, int, int], *, keep_highest: bool) -> None:
        self.highest = np.full(shape, -np.inf, np.float32) if keep_highest else None
        self.strongest: dict[tuple[int, int], float] = {}
        self.doubtful: dict[tuple[int, int], int] = {}

    def add(self, index: int, logits: Mapping[int, NDArray[np.float32]]) -> None:
        """Take in the logits (h, w) by label of one slice."""
        for label, logit in logits.items():
            self.strongest[index, label] = float(logit.max())
            self.doubtful[index, label] = int((np.abs(logit) < DOUBT_BAND).sum())
            if self.highest is not None:
                np.maximum(self.highest[index], logit, out=self.highest[index])

    def refuse(self, index: int, label: int, logit: float) -> None:
        """Note that a chain of a label ended on a slice, where ``logit`` was not enough."""
        self.strongest.setdefault((index, label), logit)
