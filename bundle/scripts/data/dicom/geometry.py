# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The order and the grid of a stack of DICOM slices, from their positions alone.

File names and instance numbers follow the scanner's, the exporter's or an anonymiser's habits; SliceLocation may run
against the patient axis. Only ImagePositionPatient and ImageOrientationPatient say where a slice lies.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from .header import SliceHeader

__all__ = ["stack_slices"]

_DUPLICATE = 1e-2  # mm between two slices that are the same place
_UNEVEN = 0.05  # of a step between slices, beyond which the grid isn't regular
_ROUNDING = 0.02  # mm that positions may be rounded by
_SAME_SPACING = 1e-3  # of the spacing
_SAME_DIRECTION = 1e-2  # length of the difference of unit vectors, half a degree
_TILT = np.tan(np.radians(1.0))
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def stack_slices(slices: Sequence[SliceHeader]) -> tuple[list[SliceHeader], np.ndarray]:
    """Sort slices along their normal and find the grid that they form.

    Args:
        slices: at least one, in any order.

    Returns:
        The slices in order, and the affine (4, 4) from the indices (column, row, slice) to mm to the right, front and
        head, as NIfTI has it. The step between slices is that of their positions; a tilted gantry gives a sheared grid.

    Raises:
        ValueError: for slices of different size, spacing or orientation, one that lacks an entry of the others, two at
            the same place, a missing one, or one that is off the line of the others; the message names the file.
    """
    _check_complete(slices)
    _check_equal(slices, "size (rows, columns)", lambda one: np.asarray(one.size), 0)
    spacing = np.median([one.spacing for one in slices], axis=0)
    _check_equal(slices, "pixel spacing in mm", lambda one: one.spacing, _SAME_SPACING * float(spacing.min()))
    _check_equal(slices, "orientation", lambda one: one.orientation, _SAME_DIRECTION)
    column_direction, row_direction = slices[0].orientation
    normal = np.cross(column_direction, row_direction)
    ordered = sorted(slices, key=lambda one: float(one.position @ normal))
    step = _step(ordered, normal)
    row_spacing, column_spacing = ordered[0].spacing
    lps = np.eye(4)
    lps[:3, :3] = np.stack([column_direction * column_spacing, row_direction * row_spacing, step], axis=1)
    lps[:3, 3] = ordered[0].position
    return ordered, _TO_RAS @ lps


def _check_complete(slices: Sequence[SliceHeader]) -> None:
    """An absent entry means its default in a series without it, but a loss where other slices have it."""
    for name in {name for one in slices for name in one.lacks}:
        odd = next(one for one in slices if name in one.lacks)
        others = sum(name not in one.lacks for one in slices)
        if others:
            raise ValueError(
                f"{_name(odd)} has no {name}, which {others} other slices of its series have: its intensities would be "
                "of another unit; restore the entry, or leave the slice out"
            )


def _check_equal(
    slices: Sequence[SliceHeader], name: str, value: Callable[[SliceHeader], np.ndarray], tolerance: float
) -> None:
    """Compare each slice with the median of all: values that differ by rounding fall into no two bins."""
    values = np.stack([value(one) for one in slices])
    usual = np.sort(values, axis=0)[(len(values) - 1) // 2]
    apart = np.abs(values - usual).reshape(len(values), -1).max(axis=1)
    if apart.max() > tolerance:
        odd = slices[int(apart.argmax())]
        raise ValueError(
            f"{_name(odd)} has another {name} than most of its series: {_plain(value(odd))}, expected {_plain(usual)}"
        )


def _step(ordered: Sequence[SliceHeader], normal: np.ndarray) -> np.ndarray:
    """The vector from a slice to the next, checked to be the same for all."""
    if len(ordered) == 1:
        if ordered[0].thickness <= 0:
            raise ValueError(
                f"{ordered[0].path} is the only slice of its series and has neither SpacingBetweenSlices nor "
                "SliceThickness, expected one of them"
            )
        return normal * ordered[0].thickness
    positions = np.stack([one.position for one in ordered])
    distances = np.diff(positions @ normal)
    for number in np.flatnonzero(distances < _DUPLICATE)[:1]:
        raise ValueError(
            f"{_name(ordered[number + 1])} lies at the same position as {_name(ordered[number])}: "
            f"{_plain(ordered[number].position)}; expected one slice per position"
        )
    usual = float(np.sort(distances)[(len(distances) - 1) // 2])
    tolerance = _UNEVEN * usual + _ROUNDING
    for number in np.flatnonzero(np.abs(distances - usual) > tolerance)[:1]:
        missing = round(distances[number] / usual) - 1
        cause = f"{missing} slice(s) missing" if missing > 0 else "an irregular distance"
        raise ValueError(
            f"{cause} between {_name(ordered[number])} and {_name(ordered[number + 1])}: they are "
            f"{distances[number]:.4g} mm apart, expected {usual:.4g} mm as in the rest of the series"
        )
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    astray = np.linalg.norm(positions - positions[0] - np.arange(len(ordered))[:, None] * step, axis=1)
    if astray.max() > tolerance:
        odd = ordered[int(astray.argmax())]
        raise ValueError(
            f"{_name(odd)} lies {astray.max():.3g} mm off the line through the slices of its series, expected at most "
            f"{tolerance:.3g} mm"
        )
    along = float(step @ normal)
    if np.linalg.norm(step - along * normal) > _TILT * along:
        logging.getLogger(__name__).warning("%s: slices are sheared (a tilted gantry)", ordered[0].path.parent)
    return np.asarray(step)


def _name(one: SliceHeader) -> str:
    return f"{one.path}" if one.frame == 0 else f"{one.path} (frame {one.frame + 1})"


def _plain(value: object) -> str:
    return str(np.asarray(value).tolist())
