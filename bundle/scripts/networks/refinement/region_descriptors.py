# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What an object looks like as a region: four numbers that need no position, no scale and no colour of its own."""

from __future__ import annotations

import numpy as np

__all__ = ["DESCRIPTORS", "describe_region"]

DESCRIPTORS = ("spread_inside", "spread_outside", "compactness", "separation")
_DIAGONAL = 0.7071
_LINKS_PER_SIDE = 2.2
"""Weighted links that a unit of outline cuts, roughly; a constant factor cancels when two shapes are compared."""


def describe_region(mask: np.ndarray, lab: np.ndarray) -> np.ndarray | None:
    """Describe a mask on its image.

    Args:
        mask: (h, w) bool.
        lab: (h, w, 3) colours.

    Returns:
        (4,) log of the colours' spread inside and outside relative to the image's (plus 0.05), log of perimeter
        squared over area, and the share of colour variance that the mask explains; None where the mask or the rest
        has fewer than two pixels.
    """
    inside = mask.ravel().astype(np.float64)
    area, total_area = inside.sum(), inside.size
    if area < 2 or area > total_area - 2:
        return None
    colours = lab.reshape(-1, 3).astype(np.float64)
    colours = colours - colours.mean(axis=0)
    squares = np.square(colours)
    variance = squares.mean(axis=0).sum() + 1e-6
    sum_inside, squares_inside = inside @ colours, inside @ squares
    mean_inside, mean_outside = sum_inside / area, -sum_inside / (total_area - area)
    variance_inside = max((squares_inside / area - np.square(mean_inside)).sum(), 0.0)
    outside = (squares.sum(axis=0) - squares_inside) / (total_area - area)
    variance_outside = max((outside - np.square(mean_outside)).sum(), 0.0)
    share = area / total_area
    return np.array(
        [
            np.log(np.sqrt(variance_inside / variance) + 0.05),
            np.log(np.sqrt(variance_outside / variance) + 0.05),
            np.log(perimeter(mask) ** 2 / area),
            share * (1 - share) * np.square(mean_inside - mean_outside).sum() / variance,
        ]
    )


def perimeter(mask: np.ndarray) -> float:
    """Length of the outline in pixels, the image's border included where the mask touches it."""
    straight = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
    diagonal = (mask[1:, 1:] != mask[:-1, :-1]).sum() + (mask[1:, :-1] != mask[:-1, 1:]).sum()
    border = mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum()
    return float((straight + _DIAGONAL * diagonal) / _LINKS_PER_SIDE + border)
