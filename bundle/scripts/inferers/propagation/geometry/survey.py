# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One walk through a volume for what its orientation and its body are read off."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..evidence.intensity import scale_intensity

__all__ = ["Survey", "survey_slices"]

_BRIGHT = 0.15  # of the intensity range


class Survey(NamedTuple):
    """Sums over all slices of a volume.

    Attributes:
        profile: (W,) sum of the scaled intensities of each column.
        bright: (H, W) number of slices on which a pixel is bright.
        num_slices: number of slices.
    """

    profile: NDArray[np.float64]
    bright: NDArray[np.int32]
    num_slices: int

    def mirrored(self) -> Survey:
        """The same for the slices with their columns reversed."""
        return Survey(self.profile[::-1], self.bright[:, ::-1], self.num_slices)


def survey_slices(slices: NDArray[Any], low: float, high: float) -> Survey:
    """Walk through the slices.

    Args:
        slices: (Z, H, W), any unit.
        low: intensity that counts as nothing.
        high: intensity that counts as one.
    """
    profile = np.zeros(slices.shape[2])
    bright = np.zeros(slices.shape[1:], np.int32)
    for image in slices:
        scaled = scale_intensity(image, low, high)
        profile += scaled.sum(axis=0, dtype=np.float64)
        bright += scaled > _BRIGHT
    return Survey(profile, bright, len(slices))
