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

from ....labels import NOT_ANNOTATED

__all__ = [
    "axis_of_labels",
    "choose_slice_axis",
    "from_slices",
    "refuse_other_axis",
    "slice_spacing",
    "to_slices",
    "upright",
]

_MANY = 4  # slices on which a label that is one pixel thin wasn't meant


def choose_slice_axis(spacing: Sequence[float], preferred: int = 0) -> int:
    """The axis with the largest spacing; ``preferred`` where several are as large."""
    largest = max(spacing)
    if spacing[preferred] >= largest * (1 - 1e-3):
        return preferred
    return max(range(len(spacing)), key=lambda axis: spacing[axis])


def axis_of_labels(label: NDArray[np.generic], spacing: Sequence[float], preferred: int = 0) -> int:
    """The axis along which an annotation was painted: the one on which it occupies the fewest slices.

    Where voxels are marked as not annotated (255), the annotated ones count; otherwise those with a label. On ties the
    spacing decides, as in `choose_slice_axis`. So it does where the annotation lies on single, spread slices along the
    axis of the largest spacing: a thin object on them is thin along another axis, too.

    Args:
        label: label map of three axes.
        spacing: mm per axis.
        preferred: axis that wins where the spacing decides nothing.
    """
    usual = choose_slice_axis(spacing, preferred)
    painted = _painted(label)
    occupied = [_occupied(painted, axis) for axis in range(3)]
    runs = int((np.diff(occupied[usual]) > 1).sum()) + 1
    if not len(occupied[usual]) or (runs > 1 and 2 * runs > len(occupied[usual])):
        return usual
    fewest = min(map(len, occupied))
    return usual if len(occupied[usual]) == fewest else min(range(3), key=lambda axis: len(occupied[axis]))


def refuse_other_axis(label: NDArray[np.generic], slice_axis: int, name: str = "the annotation") -> None:
    """Refuse labels that were painted on slices of another axis: one pixel thin on each of many slices.

    Args:
        label: label map of three axes.
        slice_axis: axis that slices are counted along.
        name: of the annotation, for the message.

    Raises:
        ValueError: naming the label, its slices and the axis to give.
    """
    for value in np.unique(label[_is_label(label)]):
        extents = [len(_occupied(label == value, axis)) for axis in range(3)]
        flat = [axis for axis in range(3) if extents[axis] == 1 and axis != slice_axis]
        others = [extents[axis] for axis in range(3) if axis not in flat]
        if len(flat) == 1 and min(others) >= _MANY:
            raise ValueError(
                f"label {value} of {name} is one pixel thin on {extents[slice_axis]} slices along axis {slice_axis}: "
                f"it was painted on one slice along axis {flat[0]}; give slice_axis {flat[0]} (--slice_axis {flat[0]})"
            )


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


def _is_label(label: NDArray[np.generic]) -> NDArray[np.bool_]:
    return np.asarray((label != 0) & (label != NOT_ANNOTATED))


def _painted(label: NDArray[np.generic]) -> NDArray[np.bool_]:
    """What was annotated, background beside a label included where that can be told."""
    known = np.asarray(label != NOT_ANNOTATED)
    return _is_label(label) if known.all() or not _is_label(label).any() else known


def _occupied(mask: NDArray[np.bool_], axis: int) -> NDArray[np.intp]:
    """Numbers of the slices along an axis that hold a voxel of the mask."""
    return np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))


def slice_spacing(spacing: Sequence[float], slice_axis: int) -> tuple[float, float, float]:
    """Spacing in mm in the order of ``to_slices``: between slices, rows, columns."""
    rows, columns = (spacing[axis] for axis in range(3) if axis != slice_axis)
    return float(spacing[slice_axis]), float(rows), float(columns)
