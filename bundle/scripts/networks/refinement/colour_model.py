# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The query's own colours: CIE Lab maps and the log ratio of two colour histograms."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor

__all__ = ["ColourHistogram", "lab_map", "rgb_to_lab"]

# sRGB primaries to CIE XYZ under D65, divided by the white point (IEC 61966-2-1, CIE 15).
_RGB_TO_XYZ = (
    (0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883),
)


def rgb_to_lab(image: Tensor) -> Tensor:
    """Convert sRGB in [0, 1] to CIE Lab (D65, 2 degrees): (B, 3, H, W) -> (B, 3, H, W)."""
    image = image.clamp(0.0, 1.0)
    linear = torch.where(image > 0.04045, ((image + 0.055) / 1.055) ** 2.4, image / 12.92)
    xyz = torch.einsum("ij,bjhw->bihw", linear.new_tensor(_RGB_TO_XYZ), linear)
    root = torch.where(xyz > 0.008856, xyz.clamp_min(1e-6) ** (1.0 / 3.0), 7.787 * xyz + 16.0 / 116.0)
    x, y, z = root.unbind(dim=1)
    return torch.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], dim=1)


def lab_map(image: Tensor, grid: int) -> Tensor:
    """Mean Lab colour of every cell: (B, 3, H, W) RGB in [0, 1] -> (B, 3, grid, grid)."""
    lab = rgb_to_lab(image.to(torch.float32))
    if min(lab.shape[2:]) < grid:
        return F.interpolate(lab, size=(grid, grid), mode="bilinear", align_corners=False)
    return F.interpolate(lab, size=(grid, grid), mode="area")


class ColourHistogram:
    """Joint histogram over the three channels of one image, as a colour model of a mask and of the rest.

    Each channel's bins span its 0.5 to 99.5 percentile, at least a quarter of the widest channel's span, so that the
    two empty channels of a grey image do not turn noise into bins.

    Args:
        lab: (h, w, 3) colours of one image.
        bins: bins per channel.
    """

    def __init__(self, lab: np.ndarray, bins: int = 16) -> None:
        colours = lab.reshape(-1, 3)
        low, high = np.percentile(colours, (0.5, 99.5), axis=0)
        span = np.maximum(high - low, max(float((high - low).max()), 1e-3) / 4)
        index = np.clip((colours - low) / span * (bins - 1e-3), 0, bins - 1).astype(np.int64)
        self.bins = bins
        self.shape = lab.shape[:2]
        self.bin_of_pixel = (index[:, 0] * bins + index[:, 1]) * bins + index[:, 2]

    def log_ratio(self, weight: np.ndarray, limit: float = 2.0) -> np.ndarray:
        """How much more likely each pixel's colour is inside than outside.

        Args:
            weight: (h, w) in [0, 1], how much a pixel belongs to the inside.
            limit: bound on the absolute value.

        Returns:
            (h, w) clipped log ratio of the two histograms (Gaussian of one bin, a floor of a thousandth).
        """
        inside, outside = (self._density(w.ravel()) for w in (weight, 1.0 - weight))
        ratio = np.clip(np.log(inside / outside), -limit, limit)
        of_pixel: np.ndarray = ratio.ravel()[self.bin_of_pixel]
        return of_pixel.reshape(self.shape)

    def _density(self, weight: np.ndarray) -> np.ndarray:
        size = self.bins**3
        counts = np.bincount(self.bin_of_pixel, weight, size).reshape((self.bins,) * 3)
        smooth: np.ndarray = gaussian_filter(counts, 1.0, mode="constant")
        density: np.ndarray = smooth / (smooth.sum() + 1e-6) + 1e-3 / size
        return density
