# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A volume as the slices that are segmented: upright, in one left-right orientation, with the body's box and range."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...data.intensity_unit import SOFT_TISSUE_WINDOW
from ..propagation.evidence.intensity import intensity_range, scale_intensity
from ..propagation.geometry.body_box import Box, body_box, holds, whole
from ..propagation.geometry.handedness import is_mirrored
from ..propagation.geometry.key_slices import slice_step
from ..propagation.geometry.slice_axis import choose_slice_axis, from_slices, slice_spacing, to_slices, upright
from ..propagation.geometry.survey import survey_slices

__all__ = ["ScaledSlices", "VolumeSlices"]


class VolumeSlices:
    """The slices of a volume; arrays are views of the image, nothing is copied.

    Args:
        image: (Z, H, W), any unit and data type; axes from feet to head, front to back, right to left.
        spacing: mm per axis of ``image``; (1, 1, 1) if None.
        slice_axis: axis of ``image`` that slices are counted along; the one with the largest spacing if None (the first
            on ties).
        intensity_window: range of intensities that matters, in the unit of the image; found by itself if None.
        use_body_box: leave the empty margins of the slices out.

    Attributes:
        image: the volume.
        spacing: mm per axis of the image.
        slice_axis: axis of the image that slices are counted along.
        intensity_window: as given.
        shown: (Z, H, W) upright slices, mirrored where that is this volume's orientation.
        body: rows and columns of the body.
        gap: mm between slices.
        pixel_size: mm per row and per column of a slice.

    Raises:
        ValueError: for an image that isn't 3D, holds no finite value, or arguments out of range.
    """

    def __init__(
        self,
        image: ArrayLike,
        *,
        spacing: Sequence[float] | None = None,
        slice_axis: int | None = None,
        intensity_window: Sequence[float] | None = None,
        use_body_box: bool = True,
    ) -> None:
        self.image = _checked_image(image)
        self.spacing = _checked_spacing(spacing)
        if slice_axis is not None and slice_axis not in (0, 1, 2):
            raise ValueError(f"slice_axis must be 0, 1 or 2, got {slice_axis!r}")
        self.slice_axis = choose_slice_axis(self.spacing) if slice_axis is None else slice_axis
        self.intensity_window = _checked_window(intensity_window)
        self._volume_range = self.intensity_window or intensity_range(self.image)
        slices = to_slices(self.image, self.slice_axis)
        survey = survey_slices(slices, *self._volume_range)
        self._columns = slice(None, None, 1)
        if is_mirrored(survey.profile):
            self._columns, survey = slice(None, None, -1), survey.mirrored()
        self.shown = slices[..., self._columns]
        self.body = body_box(survey) if use_body_box else whole(self.shape)
        self._body_range = self._find_range(self.body)
        self.gap, *pixel_size = slice_spacing(self.spacing, self.slice_axis)
        self.pixel_size: tuple[float, float] = (pixel_size[0], pixel_size[1])

    def __len__(self) -> int:
        return len(self.shown)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a slice."""
        return self.shown.shape[1], self.shown.shape[2]

    def check_index(self, slice_index: int) -> int:
        """Take a user's number of a slice.

        Raises:
            ValueError: when it is no whole number, or there is no such slice.
        """
        if isinstance(slice_index, bool) or not isinstance(slice_index, (int, np.integer)):
            raise ValueError(f"slice_index must be a whole number, got {slice_index!r}")
        if not 0 <= slice_index < len(self):
            raise ValueError(
                f"slice {slice_index} does not exist: the volume has {len(self)} slices along axis "
                f"{self.slice_axis} (0 to {len(self) - 1})"
            )
        return int(slice_index)

    def show(self, label: NDArray[Any]) -> NDArray[Any]:
        """Turn a slice (H, W), as ``numpy.take(image, index, slice_axis)`` gives it, as the slices are turned."""
        return np.ascontiguousarray(upright(label, self.slice_axis)[:, self._columns])

    def as_volume(self, slices: NDArray[Any]) -> NDArray[Any]:
        """Turn shown slices (Z, H, W) into a volume of the image's axes."""
        return np.ascontiguousarray(from_slices(slices[..., self._columns], self.slice_axis))

    def box_of(self, labelled: Iterable[NDArray[np.bool_]]) -> Box:
        """The body's box, or the whole slice where one of the masks (H, W) lies outside of it."""
        return self.body if all(holds(self.body, mask) for mask in labelled) else whole(self.shape)

    def range_of(self, box: Box) -> tuple[float, float]:
        """The range of intensities that matters in a box from ``box_of``."""
        return self._body_range if box == self.body else self._volume_range

    def step_of(self, box: Box, fraction: float) -> int:
        """Slices from one key slice to the next; their distance is a fraction of the longer side of a box."""
        extent = max((side.stop - side.start) * pixel for side, pixel in zip(box, self.pixel_size, strict=True))
        return slice_step(extent, self.gap, fraction)

    def _find_range(self, box: Box) -> tuple[float, float]:
        """The range of a box alone, so that it doesn't depend on what lies around; a known unit keeps its own."""
        if self.intensity_window is not None or self._volume_range == SOFT_TISSUE_WINDOW:
            return self._volume_range
        return intensity_range(self.shown[:, box[0], box[1]])


class ScaledSlices(Sequence[NDArray[np.float32]]):
    """Slices scaled to [0, 1] when they are asked for, so that no second copy of the volume is made.

    Args:
        slices: (Z, H, W), any unit.
        low: intensity that becomes 0.
        high: intensity that becomes 1.
    """

    def __init__(self, slices: NDArray[Any], low: float, high: float) -> None:
        self._slices, self._low, self._high = slices, low, high

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(self, index: Any) -> Any:
        return scale_intensity(self._slices[index], self._low, self._high)


def _checked_image(image: ArrayLike) -> NDArray[Any]:
    array = np.asarray(image)
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"image must have three axes (Z, H, W), got shape {array.shape}")
    if array.dtype.kind not in "iufb":
        raise ValueError(f"image must hold numbers, got data type {array.dtype}")
    if array.dtype.kind == "f" and not all(np.isfinite(part).all() for part in array):
        raise ValueError("image holds values that are not finite (NaN or infinity)")
    return array


def _checked_spacing(spacing: Sequence[float] | None) -> tuple[float, float, float]:
    values = (1.0, 1.0, 1.0) if spacing is None else tuple(float(value) for value in spacing)
    if len(values) != 3 or not all(np.isfinite(value) and value > 0 for value in values):
        raise ValueError(f"spacing must be three positive numbers in mm, got {spacing!r}")
    return values[0], values[1], values[2]


def _checked_window(window: Sequence[float] | None) -> tuple[float, float] | None:
    if window is None:
        return None
    if len(window) != 2 or not window[0] < window[1]:
        raise ValueError(f"intensity_window must be (low, high) with low < high, got {window!r}")
    return float(window[0]), float(window[1])
