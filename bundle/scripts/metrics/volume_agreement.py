# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Agreement of two masks of a volume as the CHAOS challenge measures it (Kavur et al. 2021): overlap, size, surfaces.

ASSD is the mean over the surface voxels of both masks together, MSSD the largest of all their distances; distances come
from MONAI's `get_surface_distance`. Surface voxels are those that a 6-neighbourhood erosion takes away, where the
erosion holds what lies outside the volume for foreground, as the organisers have it: an organ that the field of view
cuts has no surface there. (MONAI's `SurfaceDistanceMetric` counts the cut, too: 0.713 mm instead of the published
0.734 mm on the organisers' example.) Distances are in mm: the spacing must be that of the slices' positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from monai.metrics.utils import get_surface_distance
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, find_objects
from torch import Tensor

__all__ = ["VolumeAgreement", "volume_agreement"]


class VolumeAgreement(NamedTuple):
    """Figures of a pair of masks; NaN where a mask is empty, or has no surface.

    Attributes:
        dice: 2 |A and B| / (|A| + |B|); 1 for two empty masks.
        ravd: absolute difference of the volumes as a fraction of the reference's.
        assd: average symmetric surface distance in mm.
        mssd: maximum symmetric surface distance in mm.
    """

    dice: float
    ravd: float
    assd: float
    mssd: float


def volume_agreement(pred: Tensor, label: Tensor, spacing: Sequence[float]) -> VolumeAgreement:
    """Compare a mask with its reference.

    Args:
        pred: (X, Y, Z); above 0 is foreground.
        label: reference, same shape.
        spacing: mm between voxels along X, Y, Z.

    Raises:
        ValueError: when the shapes differ or aren't 3D, or spacing isn't three positive numbers.
    """
    if pred.shape != label.shape or pred.ndim != 3:
        raise ValueError(f"two 3D masks of one shape are expected, got {tuple(pred.shape)} and {tuple(label.shape)}")
    if len(spacing) != 3 or min(spacing) <= 0:
        raise ValueError(f"spacing must be three positive numbers in mm, got {list(spacing)}")
    mine, reference = (np.asarray(torch.as_tensor(mask).cpu()) > 0 for mask in (pred, label))
    sizes = int(mine.sum()), int(reference.sum())
    dice = 2 * int((mine & reference).sum()) / sum(sizes) if any(sizes) else 1.0
    ravd = abs(sizes[0] - sizes[1]) / sizes[1] if sizes[1] else float("nan")
    if not all(sizes):
        return VolumeAgreement(dice, ravd, float("nan"), float("nan"))
    surfaces = np.stack([_surface(mine), _surface(reference)])
    if not all(surface.any() for surface in surfaces):  # a mask that fills the volume has none
        return VolumeAgreement(dice, ravd, float("nan"), float("nan"))
    box = find_objects(surfaces.any(axis=0).astype(np.uint8))[0]
    edges = [surface[box] for surface in surfaces]
    millimetres = tuple(float(value) for value in spacing)
    distances = np.concatenate(
        [
            np.asarray(get_surface_distance(one, other, spacing=millimetres), dtype=np.float64).ravel()
            for one, other in (edges, reversed(edges))
        ]
    )
    return VolumeAgreement(dice, ravd, float(distances.mean()), float(distances.max()))


def _surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = binary_erosion(mask, border_value=1)
    return mask ^ inside
