# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The rectangle of every slice that holds the body.

Only this rectangle is segmented. How much empty space an image has around the body then changes nothing, and the
backbone sees the body as large as it can be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .survey import Survey

__all__ = ["Box", "body_box", "holds", "whole"]

Box = tuple[slice, slice]

_SHARE = 0.05  # of the slices


def body_box(survey: Survey) -> Box:
    """Rows and columns between the outermost pixels that are bright on more than a twentieth of the slices.

    Returns:
        The rows and the columns; the whole slice when nothing is bright.
    """
    is_body = survey.bright > _SHARE * survey.num_slices
    rows, columns = (np.flatnonzero(is_body.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return whole(survey.bright.shape)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def whole(shape: tuple[int, ...]) -> Box:
    """The box of a whole slice of the shape (H, W)."""
    return slice(0, shape[0]), slice(0, shape[1])


def holds(box: Box, mask: NDArray[np.bool_]) -> bool:
    """Whether a mask (H, W) lies inside a box."""
    return int(mask[box].sum()) == int(mask.sum())
