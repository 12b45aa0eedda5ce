# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Binary masks: growing, signed distance, holes and islands (on one slice)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

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
    parts, areas, is_hole = _holes(mask)
    if largest is not None:
        is_hole = is_hole & (areas <= largest)
    return mask | is_hole[parts] if is_hole.any() else mask.copy()


def hole_area(mask: Mask) -> int:
    """Pixels in the holes of a mask (H, W)."""
    _, areas, is_hole = _holes(mask)
    return int(areas[is_hole].sum())


def drop_islands(mask: Mask, smallest: float, fraction: float) -> Mask:
    """Keep the parts of at least ``smallest`` pixels and of at least ``fraction`` of the largest part's area."""
    parts, areas = _parts(mask)
    if len(areas) < 3:
        return mask
    kept: Mask = (areas >= max(smallest, fraction * areas.max()))[parts]
    return kept


def _parts(mask: Mask) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Connected parts (four neighbours) of a mask (H, W), numbered from 1, and their areas; 0 is outside, of area 0."""
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    areas = statistics[:, cv2.CC_STAT_AREA].astype(np.int64)
    areas[0] = 0
    return np.asarray(parts, np.int32), areas


def _holes(mask: Mask) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_]]:
    """Parts of the outside, their areas, and which of them are holes: those that don't reach the border."""
    parts, areas = _parts(~mask)
    is_hole = np.ones(len(areas), bool)
    is_hole[0] = False
    for edge in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        is_hole[edge] = False
    return parts, areas, is_hole
