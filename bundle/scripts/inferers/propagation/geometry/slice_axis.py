# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A volume as a stack of upright slices along any of its axes.

Volumes have the axes (Z, H, W): feet to head, front to back, right to left. A slice is shown upright: an axial one with
the front on top, a coronal or sagittal one with the head on top, so its rows run against Z.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["choose_slice_axis", "from_slices", "slice_spacing", "to_slices", "upright"]


def choose_slice_axis(spacing: Sequence[float], preferred: int = 0) -> int:
    """The axis with the largest spacing; ``preferred`` where several are as large."""
    largest = max(spacing)
    if spacing[preferred] >= largest * (1 - 1e-3):
        return preferred
    return max(range(len(spacing)), key=lambda axis: spacing[axis])


def upright(image: NDArray[Any], slice_axis: int) -> NDArray[Any]:
    """Turn a slice, as ``numpy.take(volume, index, slice_axis)`` gives it, upright; the same call turns it back."""
    return image if slice_axis == 0 else image[::-1]


def to_slices(volume: NDArray[Any], slice_axis: int) -> NDArray[Any]:
    """View of a volume (Z, H, W) as upright slices, slices first."""
    slices = np.moveaxis(volume, slice_axis, 0)
    return slices if slice_axis == 0 else slices[:, ::-1]


def from_slices(slices: NDArray[Any], slice_axis: int) -> NDArray[Any]:
    """View of upright slices as the volume that they came from."""
    return np.moveaxis(slices if slice_axis == 0 else slices[:, ::-1], 0, slice_axis)


def slice_spacing(spacing: Sequence[float], slice_axis: int) -> tuple[float, float, float]:
    """Spacing in mm in the order of ``to_slices``: between slices, rows, columns."""
    rows, columns = (spacing[axis] for axis in range(3) if axis != slice_axis)
    return float(spacing[slice_axis]), float(rows), float(columns)
