# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Which slices the masks travel over when slices are thin: the annotated ones and regular steps between them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

__all__ = ["choose_key_slices", "slice_step"]


def slice_step(extent: float, gap: float, fraction: float) -> int:
    """Number of slices from one key slice to the next.

    Args:
        extent: mm, longer side of a slice.
        gap: mm between neighbouring slices.
        fraction: wanted distance of key slices as a fraction of the extent.
    """
    return max(1, round(fraction * extent / gap))


def choose_key_slices(count: int, annotated: Iterable[int], step: int) -> list[int]:
    """Key slices among ``count`` slices: the annotated ones, even steps between them, regular steps outside."""
    annotated = sorted(annotated)
    if step == 1 or not annotated:
        return list(range(count))
    keys = {*annotated, 0, count - 1}
    keys.update(range(annotated[0], -1, -step))
    keys.update(range(annotated[-1], count, step))
    for lower, upper in itertools.pairwise(annotated):
        pieces = max(1, round((upper - lower) / step))
        keys.update(int(index) for index in np.round(np.linspace(lower, upper, pieces + 1)))
    return sorted(keys)
