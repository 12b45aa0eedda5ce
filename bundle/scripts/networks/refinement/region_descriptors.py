# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What an object looks like as a region: numbers that need no position, no scale and no colour of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_dilation

__all__ = ["NUM_DESCRIPTORS", "Region", "describe_region", "mean_region", "perimeter", "to_row"]

NUM_DESCRIPTORS = 11
_RING = 6
_DIAGONAL = 0.7071
_LINKS_PER_SIDE = 2.2
"""Weighted links that a unit of outline cuts, roughly; a constant factor cancels when two shapes are compared."""


class Region(NamedTuple):
    """Descriptors of a mask on its image."""

    spread_inside: float
    """log of the colours' spread inside, relative to the image's (plus 0.05)"""
    spread_outside: float
    """the same outside"""
    compactness: float
    """log of perimeter squared over area"""
    separation: float
    """share of the colour variance that the mask explains"""
    border: float
    """share of the image's border that the mask covers"""
    contrast: tuple[float, float, float]
    """mean Lab colour inside minus outside, in units of the image's spread"""
    near_contrast: tuple[float, float, float]
    """the same against the ring around the mask"""


def describe_region(mask: np.ndarray, lab: np.ndarray) -> Region | None:
    """Describe a mask on its image.

    Args:
        mask: (h, w) bool.
        lab: (h, w, 3) colours.

    Returns:
        None where the mask or the rest has fewer than two pixels.
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
    ring = (binary_dilation(mask, iterations=_RING) & ~mask).ravel()
    mean_ring = colours[ring].mean(axis=0)
    spread = np.sqrt(variance) + 1e-3
    return Region(
        spread_inside=float(np.log(np.sqrt(variance_inside / variance) + 0.05)),
        spread_outside=float(np.log(np.sqrt(variance_outside / variance) + 0.05)),
        compactness=float(np.log(perimeter(mask) ** 2 / area)),
        separation=float(share * (1 - share) * np.square(mean_inside - mean_outside).sum() / variance),
        border=float(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean()),
        contrast=tuple(((mean_inside - mean_outside) / spread).tolist()),
        near_contrast=tuple(((mean_inside - mean_ring) / spread).tolist()),
    )


def to_row(region: Region | None) -> np.ndarray:
    """One row of numbers, NaN for None: (11,)."""
    if region is None:
        return np.full(NUM_DESCRIPTORS, np.nan)
    return np.array([*region[:5], *region.contrast, *region.near_contrast])


def mean_region(rows: np.ndarray) -> Region | None:
    """Mean of the rows (K, 11) that are not NaN; None where there is none."""
    rows = rows[~np.isnan(rows).any(axis=1)]
    if not len(rows):
        return None
    inside, outside, compactness, separation, border, *contrasts = rows.mean(axis=0).tolist()
    first, second = (contrasts[0], contrasts[1], contrasts[2]), (contrasts[3], contrasts[4], contrasts[5])
    return Region(inside, outside, compactness, separation, border, first, second)


def perimeter(mask: np.ndarray) -> float:
    """Length of the outline in pixels, the image's border included where the mask touches it."""
    straight = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
    diagonal = (mask[1:, 1:] != mask[:-1, :-1]).sum() + (mask[1:, :-1] != mask[:-1, 1:]).sum()
    border = mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum()
    return float((straight + _DIAGONAL * diagonal) / _LINKS_PER_SIDE + border)
