# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIP's attention pool made spatial: every cell is a query, and none is averaged (CRIS, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import as_map, split_heads
from ..positions import resize_positions

__all__ = ["SpatialAttentionPool"]


class SpatialAttentionPool(nn.Module):
    """relu(attention(x + positions) + BN(W x)), each cell for itself.

    Args:
        width: channels of x.
        out_channels: of the result.
        num_heads: of the attention.
        side: of the grid for which the position table was learned.
    """

    def __init__(self, width: int, out_channels: int, num_heads: int, side: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        # The first row is CLIP's, for the mean of all cells, which isn't a query here.
        self.positional_embedding = nn.Parameter(torch.randn(side * side + 1, width) * width**-0.5)
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, out_channels)
        self.connect = nn.Sequential(nn.Conv2d(width, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Pool (B, C, h, w) to (B, C', h, w)."""
        grid = (x.shape[2], x.shape[3])
        tokens = x.flatten(2).transpose(1, 2) + self.positions(grid)
        query, key, value = (
            split_heads(projection(tokens), self.num_heads) for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return F.relu(as_map(self.c_proj(attended), grid) + self.connect(x))

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """Table (h * w, C) for a grid."""
        return resize_positions(self.positional_embedding[1:], grid)
