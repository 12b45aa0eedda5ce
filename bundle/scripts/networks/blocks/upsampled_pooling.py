# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Masked averages at a mask's own size, without the map being resized to it.

A bilinear resize is linear, up(F) = U_h F U_w^T, so the sum of a resized map under a mask M equals the sum of the map
itself under U_h^T M U_w: one small map of weights per mask in place of all channels at full size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .pooling import masked_averages

__all__ = ["cell_weights", "upsampled_average"]


def upsampled_average(maps: Tensor, mask: Tensor, eps: float = 1e-5) -> Tensor:
    """Average maps under masks as if the maps had been resized bilinearly (half-pixel rule) to the masks' size.

    Args:
        maps: (N, C, h, w).
        mask: (N, 1, H, W), weights.
        eps: added to the sum of a mask; the average of an empty one is zero.

    Returns:
        (N, C).
    """
    return masked_averages(maps, cell_weights(mask, [maps.shape[2], maps.shape[3]]), eps)[:, 0]


def cell_weights(mask: Tensor, size: list[int]) -> Tensor:
    """Spread every pixel of a mask over the cells that a bilinear resize would have read for it.

    Args:
        mask: (N, 1, H, W), weights.
        size: [h, w] of the maps.

    Returns:
        (N, 1, h, w); sums to the same as the mask.
    """
    rows = _influence(size[0], mask.shape[2], mask)
    columns = _influence(size[1], mask.shape[3], mask)
    return torch.matmul(torch.matmul(rows, mask), columns.t())


def _influence(cells: int, pixels: int, like: Tensor) -> Tensor:
    """Share of every cell in every pixel of a resized line: (cells, pixels)."""
    lines = torch.eye(cells, dtype=like.dtype, device=like.device).unsqueeze(0)
    return F.interpolate(lines, size=[pixels], mode="linear", align_corners=False)[0]
