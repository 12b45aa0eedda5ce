# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""LSMS' full-scale decoder, form B: within the cells where the words decide least, all scales attend to each other.

After the cross-scale enhancement of the parent SLViT. In its release the map that chose the cells was 1 everywhere, the
scores were not scaled, and the parts were not in the optimiser; here the entropy of the words' weights chooses, and a
flag leaves the scores unscaled.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import split_heads
from .decoder_a import AllScaleHead

__all__ = ["CellAttention", "CrossScaleDecoder", "CrossScaleEnhancement", "word_uncertainty"]

_SIDES = (8, 4, 2, 1)
_COUNTS = tuple(side * side for side in _SIDES)


class CellAttention(nn.Module):
    """x + scale * attention(x) among the tokens of a cell.

    Args:
        width: of the tokens.
        num_heads: of the attention.
        released: leave the scores as they are; otherwise they are divided by the root of a head's width.
    """

    def __init__(self, width: int, num_heads: int = 8, released: bool = False) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.layer_scale = nn.Parameter(torch.ones(width))
        self.score_scale = 1.0 if released else None

    def forward(self, tokens: Tensor) -> Tensor:
        """Attend within each cell of (..., N, D)."""
        query, key, value = (split_heads(part, self.num_heads) for part in self.qkv(tokens).chunk(3, dim=-1))
        attended = F.scaled_dot_product_attention(query, key, value, scale=self.score_scale)
        result: Tensor = tokens + self.layer_scale * self.proj(attended.transpose(-2, -3).flatten(-2))
        return result


class CrossScaleEnhancement(nn.Module):
    """Exchange between the scales in the most uncertain cells.

    A cell is one of the coarsest map; it owns its windows in all scales, 64 + 16 + 4 + 1 tokens.

    Args:
        channels: of the maps, from fine to coarse.
        width: of the tokens.
        num_cells: how many cells per image are enhanced; all where an image has fewer.
        num_heads: of the attention.
    """

    def __init__(self, channels: Sequence[int], width: int = 256, num_cells: int = 32, num_heads: int = 8) -> None:
        super().__init__()
        self.num_cells = num_cells
        self.project = nn.ModuleList([nn.Linear(count, width) for count in channels])
        self.attention = CellAttention(width, num_heads)
        self.merge = nn.ModuleList([nn.Conv2d(width + count, count, 1) for count in channels])
        self.norms = nn.ModuleList([nn.LayerNorm(count) for count in channels])

    def forward(self, maps: Sequence[Tensor], uncertainty: Tensor) -> list[Tensor]:
        """Enhance.

        Args:
            maps: (B, C_i, h_i, w_i), from fine to coarse.
            uncertainty: (B, h * w) of the cells, those of the coarsest map row by row.

        Returns:
            Maps of the same channels, at 8, 4, 2 and 1 times the coarsest map's size.
        """
        height, width = maps[-1].shape[2], maps[-1].shape[3]
        sized = [_resize(value, (height * side, width * side)) for value, side in zip(maps, _SIDES, strict=True)]
        cells = torch.cat(
            [project(_windows(value, side)) for value, project, side in zip(sized, self.project, _SIDES, strict=True)],
            dim=2,
        )
        chosen = uncertainty.topk(min(self.num_cells, cells.shape[1]), dim=1).indices
        index = chosen[:, :, None, None].expand(-1, -1, *cells.shape[2:])
        cells = cells.scatter(1, index, self.attention(cells.gather(1, index)))
        enhanced = [
            _from_windows(tokens, (height, width), side)
            for tokens, side in zip(torch.split(cells, list(_COUNTS), dim=2), _SIDES, strict=True)
        ]
        return [
            F.relu(_channel_norm(norm, merge(torch.cat([new, old], dim=1))))
            for new, old, merge, norm in zip(enhanced, sized, self.merge, self.norms, strict=True)
        ]


class CrossScaleDecoder(nn.Module):
    """Form B: the enhancement, then all scales side by side.

    Args:
        channels: of the maps, from fine to coarse.
        width: of the merged features.
        num_cells: see ``CrossScaleEnhancement``.
    """

    def __init__(self, channels: Sequence[int], width: int, *, num_cells: int = 32) -> None:
        super().__init__()
        self.enhance = CrossScaleEnhancement(channels, num_cells=num_cells)
        self.head = AllScaleHead(channels, width, nn.Identity())
        self.out_width = self.head.out_width

    def forward(self, maps: Sequence[Tensor], uncertainty: Tensor) -> tuple[Tensor, Tensor]:
        """Decode; see ``CrossScaleEnhancement.forward`` and ``AllScaleHead.forward``."""
        result: tuple[Tensor, Tensor] = self.head(self.enhance(maps, uncertainty))
        return result


def word_uncertainty(weights: Tensor) -> Tensor:
    """Entropy of the words' weights (B, N, T) in each cell: (B, N), high where no word stands out."""
    return -(weights * weights.clamp_min(1e-12).log()).sum(dim=2)


def _windows(x: Tensor, side: int) -> Tensor:
    """(B, C, h * side, w * side) -> (B, h * w, side * side, C)."""
    return rearrange(x, "b c (h i) (w j) -> b (h w) (i j) c", i=side, j=side)


def _from_windows(tokens: Tensor, grid: tuple[int, int], side: int) -> Tensor:
    """Undo ``_windows`` for a grid of cells."""
    return rearrange(tokens, "b (h w) (i j) c -> b c (h i) (w j)", h=grid[0], w=grid[1], i=side, j=side)


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    if (x.shape[2], x.shape[3]) == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def _channel_norm(norm: nn.Module, x: Tensor) -> Tensor:
    result: Tensor = norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return result
