# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a volume's intensities tell of their unit: which of them are padding, and whether the rest are Hounsfield units.

Scanners and resamplers fill what they didn't measure with one value far below all others (-32768, -3024, -2000, -1024
outside of the circle). It is left out before anything is guessed. Negative values alone don't make a CT: phase images,
z-scores and inversion recovery have them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SOFT_TISSUE_WINDOW", "are_hounsfield_units", "check_window", "without_padding"]

SOFT_TISSUE_WINDOW = (-150.0, 250.0)  # Hounsfield units
_HIGHEST_PADDING = -1024.0
_GAP = 0.1  # of the range of the other values
_MOST_PADDINGS = 3
_AIR = (-1100.0, -700.0)  # of the lungs, too
_LEAST_AIR = 0.6  # of what is below tissue
_TISSUE = -300.0
_HIGHEST_TISSUE = 800.0  # median of whatever isn't air; contrast medium and bone included


def check_window(window: Sequence[float]) -> tuple[float, float]:
    """The two ends of a window that the user gave.

    Raises:
        ValueError: when it isn't two numbers, the first below the second.
    """
    values = [window] if isinstance(window, (str, int, float)) else list(window)
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(values) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1]:
        raise ValueError(
            "intensity_window must have a width: two numbers, the first below the second, such as [-150, 250]; got "
            f"{window!r}"
        )
    return float(numbers[0]), float(numbers[1])


def without_padding(values: NDArray[Any]) -> NDArray[Any]:
    """The values that were measured; the same array where none is padding.

    Padding is the lowest value of all where it is -1024 or less and a gap of a tenth of the others' range lies above
    it. Up to three such values are left out, as a padded image may be padded again.

    Args:
        values: (N,), any unit.
    """
    for _ in range(_MOST_PADDINGS):
        if not values.size or values.min() > _HIGHEST_PADDING:
            break
        others = values[values > values.min()]
        if not others.size or float(others.min()) - float(values.min()) <= _GAP * _spread(others):
            break
        values = others
    return values


def are_hounsfield_units(values: NDArray[Any]) -> bool:
    """Whether the intensities look like those of a CT.

    Much of a CT is air or lung, nothing is far below air, and what isn't air is soft tissue for the most part.

    Args:
        values: (N,), without padding.
    """
    low, high = np.percentile(values, (0.5, 99.9)) if values.size else (0.0, 0.0)
    if not (_AIR[0] <= low < _TISSUE < high):
        return False
    dark = values < _TISSUE
    is_air = (values >= _AIR[0]) & (values <= _AIR[1])
    return bool(is_air.sum() >= _LEAST_AIR * dark.sum() and np.median(values[~dark]) < _HIGHEST_TISSUE)


def _spread(values: NDArray[Any]) -> float:
    """Between the lowest value and a percentile that a few hot voxels don't reach."""
    return float(np.percentile(values, 99.9)) - float(values.min())
