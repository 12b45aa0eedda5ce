# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The rectangle of every slice that holds the body.

Only this rectangle is segmented. How much empty space an image has around the body then changes nothing, and the
backbone sees the body as large as it can be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..evidence.intensity import scale_intensity

__all__ = ["Box", "body_box", "holds", "whole"]

Box = tuple[slice, slice]

_BRIGHT = 0.15  # of the intensity range
_SHARE = 0.05  # of the slices


def body_box(slices: NDArray, low: float, high: float) -> Box:
    """Rows and columns between the outermost pixels that are bright on more than a twentieth of the slices.

    Args:
        slices: (Z, H, W), any unit.
        low: intensity that counts as nothing.
        high: intensity that counts as one.

    Returns:
        The rows and the columns; the whole slice when nothing is bright.
    """
    count = np.zeros(slices.shape[1:], np.int32)
    for image in slices:
        count += scale_intensity(image, low, high) > _BRIGHT
    is_body = count > _SHARE * len(slices)
    rows, columns = (np.flatnonzero(is_body.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return whole(slices)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def whole(slices: NDArray) -> Box:
    """The box of the whole slice of a volume (Z, H, W)."""
    return slice(0, slices.shape[1]), slice(0, slices.shape[2])


def holds(box: Box, mask: NDArray[np.bool_]) -> bool:
    """Whether a mask (H, W) lies inside a box."""
    return int(mask[box].sum()) == int(mask.sum())
