# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CRIS' neck: the sentence gates the deepest map, and three scales are merged at stride 16 (section 3.2).

Maps of any size go in: where a map isn't half the finer one exactly, it is resized to it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import conv_layer

__all__ = ["Neck"]


class Neck(nn.Module):
    """Maps at strides 8, 16, 32 and a sentence -> one map at stride 16.

    Args:
        in_channels: of the three maps; the sentence has the last one's width.
        out_channels: of the three fused maps.
    """

    def __init__(
        self,
        in_channels: tuple[int, int, int] = (512, 1024, 1024),
        out_channels: tuple[int, int, int] = (256, 512, 1024),
    ) -> None:
        super().__init__()
        fine, middle, coarse = out_channels
        self.txt_proj = nn.Sequential(
            nn.Linear(in_channels[2], coarse, bias=False), nn.BatchNorm1d(coarse), nn.ReLU(inplace=True)
        )
        self.f1_v_proj = conv_layer(in_channels[2], coarse)
        self.norm_layer = nn.Sequential(nn.BatchNorm2d(coarse), nn.ReLU(inplace=True))
        self.f2_v_proj = conv_layer(in_channels[1], middle, 3)
        self.f2_cat = conv_layer(coarse + middle, middle)
        self.f3_v_proj = conv_layer(in_channels[0], fine, 3)
        self.f3_cat = conv_layer(fine + middle, middle)
        self.f4_proj5 = conv_layer(coarse, middle, 3)
        self.f4_proj4 = conv_layer(middle, middle, 3)
        self.f4_proj3 = conv_layer(middle, middle, 3)
        self.aggr = conv_layer(3 * middle, middle)
        self.coordconv = nn.Sequential(_CoordinateConvolution(middle), conv_layer(middle, middle, 3))

    def forward(self, stride8: Tensor, stride16: Tensor, stride32: Tensor, sentence: Tensor) -> Tensor:
        """Fuse the maps (B, C, h, w) under a sentence (B, C); (B, C', h, w) at stride 16."""
        gate = self.txt_proj(sentence)[:, :, None, None]
        coarse = self.norm_layer(self.f1_v_proj(stride32) * gate)
        middle = self.f2_v_proj(stride16)
        middle = self.f2_cat(torch.cat([middle, _resize_like(coarse, middle)], dim=1))
        fine = self.f3_v_proj(stride8)
        fine = F.adaptive_avg_pool2d(fine, (middle.shape[2], middle.shape[3]))
        fine = self.f3_cat(torch.cat([fine, middle], dim=1))
        merged = [self.f4_proj3(fine), self.f4_proj4(middle), _resize_like(self.f4_proj5(coarse), middle)]
        result: Tensor = self.coordconv(self.aggr(torch.cat(merged, dim=1)))
        return result


class _CoordinateConvolution(nn.Module):
    """A convolution that also sees where it is: column and row, each from -1 to 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv_layer(channels + 2, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        batch_size, _, height, width = x.shape
        columns = torch.linspace(-1, 1, width, dtype=x.dtype, device=x.device).expand(batch_size, 1, height, width)
        rows = torch.linspace(-1, 1, height, dtype=x.dtype, device=x.device)[:, None]
        result: Tensor = self.conv1(torch.cat([x, columns, rows.expand(batch_size, 1, height, width)], dim=1))
        return result


def _resize_like(x: Tensor, target: Tensor) -> Tensor:
    return F.interpolate(x, size=[target.shape[2], target.shape[3]], mode="bilinear", align_corners=False)
