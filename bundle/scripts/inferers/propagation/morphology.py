# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Binary masks: growing, signed distance, holes and islands (on one slice)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["dilate", "drop_islands", "fill_holes", "hole_area", "signed_distance"]

Mask = NDArray[np.bool_]


def dilate(mask: Mask, pixels: int) -> Mask:
    """Grow a mask (H, W) by a square of ``2 * pixels + 1`` pixels."""
    if pixels <= 0:
        return mask.copy()
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def signed_distance(mask: Mask) -> NDArray[np.float32]:
    """Distance in pixels to the mask's outline, positive inside; an empty mask gives -99, a full one 99."""
    if not mask.any():
        return np.full(mask.shape, -99.0, np.float32)
    if mask.all():
        return np.full(mask.shape, 99.0, np.float32)
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)


def fill_holes(mask: Mask, largest: int | None = None) -> Mask:
    """Fill the holes of a mask (H, W); with ``largest``, only those of at most that many pixels."""
    filled = ndimage.binary_fill_holes(mask)
    if largest is None:
        return filled
    holes, _ = ndimage.label(filled & ~mask)
    is_small = np.bincount(holes.ravel()) <= largest
    is_small[0] = False
    return mask | is_small[holes]


def hole_area(mask: Mask) -> int:
    """Pixels in the holes of a mask (H, W)."""
    return int((ndimage.binary_fill_holes(mask) & ~mask).sum())


def drop_islands(mask: Mask, smallest: float, fraction: float) -> Mask:
    """Keep the parts of at least ``smallest`` pixels and of at least ``fraction`` of the largest part's area."""
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    areas = np.bincount(parts.ravel())
    areas[0] = 0
    return (areas >= max(smallest, fraction * areas.max()))[parts]
