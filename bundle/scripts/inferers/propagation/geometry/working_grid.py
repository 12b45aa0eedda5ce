# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The working grid: square pixels, longer side of a fixed number of pixels, whatever the image's own grid.

Masks travel on this grid, so that lengths in pixels keep their meaning; labels come back to the image's grid through
signed distances, which keeps outlines smooth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .morphology import signed_distance

__all__ = ["labels_to_image", "labels_to_working", "resize", "to_working", "working_shape"]


def working_shape(shape: tuple[int, int], pixel_size: tuple[float, float], longer_side: int) -> tuple[int, int]:
    """Shape of the grid with square pixels whose longer side has ``longer_side`` pixels.

    Args:
        shape: rows and columns of the image.
        pixel_size: mm per row and per column.
        longer_side: pixels.
    """
    extent = (shape[0] * pixel_size[0], shape[1] * pixel_size[1])
    scale = longer_side / max(extent)
    return max(1, round(extent[0] * scale)), max(1, round(extent[1] * scale))


def resize(image: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize (H, W) to ``shape``: area average where it shrinks, bilinear where it grows."""
    image = np.ascontiguousarray(image, dtype=np.float32)
    if image.shape == tuple(shape):
        return image
    shrinks = image.shape[0] * image.shape[1] > shape[0] * shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (shape[1], shape[0]), interpolation=method), np.float32)


def to_working(image: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
    """One slice (H, W) with values in [0, 1] on the working grid."""
    return np.clip(resize(image, shape), 0.0, 1.0)


def labels_to_working(label: NDArray[Any], shape: tuple[int, int], values: Sequence[int]) -> NDArray[np.int32]:
    """A label map (H, W) on the working grid; the value that covers most of a pixel wins, and no value vanishes.

    Args:
        label: label values, 0 = background.
        shape: of the working grid.
        values: label values to carry over.
    """
    if label.shape == tuple(shape):
        return np.where(np.isin(label, list(values)), label, 0).astype(np.int32)
    best = np.full(shape, 0.5, np.float32)
    result = np.zeros(shape, np.int32)
    coverages = {value: resize(label == value, shape) for value in sorted(values) if (label == value).any()}
    for value, coverage in coverages.items():
        wins = coverage > best
        result[wins] = value
        best = np.where(wins, coverage, best)
    for value, coverage in coverages.items():
        if not (result == value).any():
            result[coverage >= max(0.1, float(coverage.max()))] = value
            if not (result == value).any():
                result[np.unravel_index(int(coverage.argmax()), coverage.shape)] = value
    return result


def labels_to_image(label: NDArray[Any], shape: tuple[int, int], clip: float = 8.0) -> NDArray[np.int32]:
    """A label map (h, w) of the working grid on the image's grid, through signed distances clipped at ``clip``."""
    if label.shape == tuple(shape):
        return label.astype(np.int32)
    best = np.zeros(shape, np.float32)
    result = np.zeros(shape, np.int32)
    for value in np.unique(label[label > 0]):
        distance = cv2.resize(
            np.clip(signed_distance(label == value), -clip, clip), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR
        )
        wins = distance > best
        result[wins] = value
        best = np.where(wins, distance, best)
    return result
