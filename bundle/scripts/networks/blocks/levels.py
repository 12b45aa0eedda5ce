# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Maps of several backbone levels on one grid."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["LevelNeck", "at_least_float32", "to_finest_grid"]


def at_least_float32(features: Tensor) -> Tensor:
    """Cached features come in half precision; sums over thousands of cells need more."""
    if features.dtype == torch.float16 or features.dtype == torch.bfloat16:
        return features.float()
    return features


def to_finest_grid(maps: list[Tensor]) -> list[Tensor]:
    """Bring maps (N, C_l, h_l, w_l) bilinearly to the largest height and width among them."""
    height = 0
    width = 0
    for values in maps:
        height = max(height, values.shape[2])
        width = max(width, values.shape[3])
    resized: list[Tensor] = []
    for values in maps:
        if values.shape[2] != height or values.shape[3] != width:
            values = F.interpolate(values, size=[height, width], mode="bilinear", align_corners=False)
        resized.append(values)
    return resized


class LevelNeck(nn.Module):
    """Learned mixture of levels: equal length per level, one grid, concatenation, a 1x1 convolution.

    The convolution starts as the identity, or as a random projection with orthonormal rows (or columns) where the width
    changes, so that the cosine of the mixture starts near the mean of the levels' cosines. The common length is such
    that channels have a mean square of one, which keeps a balance with text prototypes, whose layer norm does the same.

    Args:
        widths: channels of every level.
        out_channels: channels of the mixture.
    """

    def __init__(self, widths: list[int], out_channels: int) -> None:
        super().__init__()
        self.length = math.sqrt(sum(widths) / len(widths))
        self.mix = nn.Conv2d(sum(widths), out_channels, kernel_size=1)
        if out_channels == sum(widths):
            nn.init.dirac_(self.mix.weight)
        else:
            nn.init.orthogonal_(self.mix.weight)
        if self.mix.bias is not None:
            nn.init.zeros_(self.mix.bias)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Mix the levels: [(N, C_l, h_l, w_l)] -> (N, out_channels, h, w) on the finest grid."""
        units: list[Tensor] = []
        for values in to_finest_grid(maps):
            units.append(self.length * F.normalize(values, dim=1))
        mixed: Tensor = self.mix(torch.cat(units, dim=1))
        return mixed
