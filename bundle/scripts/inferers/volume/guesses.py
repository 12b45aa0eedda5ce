# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the user didn't say and was found instead, in one line with the keys that say it."""

from __future__ import annotations

import logging
from typing import Any

from numpy.typing import NDArray

from ..propagation.evidence.annotations import labelled_slices

__all__ = ["tell_guesses"]

_DIRECTIONS = ("left", "back", "head")

logger = logging.getLogger(__name__)


def tell_guesses(label: NDArray[Any], *, slice_axis: int, found_axis: bool, window: tuple[float, float] | None) -> None:
    """Log the axis and the window that were found.

    Args:
        label: (X, Y, Z), axes to the patient's left, back and head.
        slice_axis: axis that slices are counted along.
        found_axis: whether it was found; False where the user gave it.
        window: range of intensities that was found; None where the user gave it.
    """
    found, keys = [], []
    if found_axis:
        count = len(labelled_slices(label, slice_axis))
        found.append(
            f"slices run along axis {slice_axis} (to the patient's {_DIRECTIONS[slice_axis]}), {count} annotated"
        )
        keys.append("slice_axis")
    if window is not None:
        found.append(f"intensities from {window[0]:g} to {window[1]:g} matter")
        keys.append("intensity_window")
    if found:
        logger.info("found: %s; set by %s", "; ".join(found), " and ".join(keys))
