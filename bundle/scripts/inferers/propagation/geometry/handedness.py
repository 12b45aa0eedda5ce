# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One left-right orientation for a volume and its mirror image.

Convolution networks and optical flow are not exactly symmetric, so a mirrored volume would give a slightly different
mask. The propagation therefore works on slices in one of the two orientations, chosen by the image alone: the one in
which the intensities lean to the left. Mirror images then become the same slices, and their masks mirror images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_mirrored"]


def is_mirrored(profile: NDArray[np.float64]) -> bool:
    """Whether the columns are to be reversed.

    The sign of the third central moment of the intensities along the columns decides: it changes with a reflection, and
    empty margins don't change it.

    Args:
        profile: (W,) sum of the scaled intensities of each column, see ``survey``.

    Returns:
        True when the moment is negative.
    """
    total = profile.sum()
    if total <= 0:
        return False
    columns = np.arange(len(profile), dtype=np.float64)
    away = columns - (profile * columns).sum() / total
    return bool((profile * away**3).sum() < 0)
