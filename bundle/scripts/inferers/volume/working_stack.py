# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The slices of a volume as the propagation sees them: within the body's box, on the working grid, with features."""

from __future__ import annotations

import numpy as np

from ..propagation.evidence.intensity import scale_intensity
from ..propagation.evidence.slice_features import SliceStack
from ..propagation.geometry.body_box import Box
from ..propagation.geometry.working_grid import to_working, working_shape
from ..propagation.parameters import GridParameters
from ..propagation.progress import Progress, stage_progress
from .features import SliceEncoder
from .slices import VolumeSlices

__all__ = ["working_stack"]


def working_stack(
    slices: VolumeSlices, box: Box, grids: GridParameters, encoder: SliceEncoder, progress: Progress | None = None
) -> SliceStack:
    """Scale the slices, bring them to the working grid and have their features computed, or read.

    Args:
        slices: of the volume.
        box: rows and columns to take, from ``slices.box_of``.
        grids: sizes of the grids.
        encoder: gives the features.
        progress: called with ("features", done, total).
    """
    low, high = slices.range_of(box)
    shown = slices.shown[:, box[0], box[1]]
    shape = working_shape((shown.shape[1], shown.shape[2]), slices.pixel_size, grids.working_size)
    images = np.empty((len(shown), *shape), np.float32)
    for index, image in enumerate(shown):
        images[index] = np.sqrt(to_working(scale_intensity(image, low, high), shape))
    features = encoder.encode(shown, low, high, stage_progress(progress, "features"))
    return SliceStack(images, features, grids.grid_size)
