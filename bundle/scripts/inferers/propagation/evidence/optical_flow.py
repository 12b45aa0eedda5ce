# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Optical flow between neighbouring slices (Kroeger et al., Fast Optical Flow using Dense Inverse Search, 2016)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["carry", "dense_flow"]


def dense_flow(target: NDArray[np.float32], source: NDArray[np.float32]) -> NDArray[np.float32]:
    """Displacement (H, W, 2) in pixels (x, y): what lies at p in ``target`` lies at p + flow(p) in ``source``.

    Args:
        target: (H, W), values in [0, 1].
        source: the same shape.
    """
    if min(target.shape) < 16:  # the coarsest scale of the method needs one patch
        return np.zeros((*target.shape, 2), np.float32)
    preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    method = cv2.DISOpticalFlow_create(preset)  # type: ignore[attr-defined]
    flow: NDArray[np.float32] = method.calc((target * 255).astype(np.uint8), (source * 255).astype(np.uint8), None)
    return flow


def carry(image: NDArray[Any], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring an image (H, W) of the source slice to the target slice along a flow (H, W, 2)."""
    rows, columns = image.shape
    x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    carried = cv2.remap(
        image.astype(np.float32), x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(carried, np.float32)
