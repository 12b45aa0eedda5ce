# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""LSMS' full-scale decoder, form A: all four scales side by side, and one global factorisation over them.

LSMS says of it that it models the features of all scales globally. This is the head of its parent SLViT, which takes
SegNeXt's over all four scales:

    X = [F4; F3; F2; F1] at stride 4;  Y = relu(GN(conv X));  Y = hamburger(Y);  R = relu(GN(conv Y));  logits = conv R
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .factorisation import Factorisation, Hamburger

__all__ = ["AllScaleHead", "FactorisingDecoder"]

_GROUPS = 32


class AllScaleHead(nn.Module):
    """Maps of all scales -> logits at the finest.

    Args:
        channels: of the maps, from fine to coarse.
        width: of Y; R has half of it.
        context: acts on Y.
        out_channels: of the logits.
        groups: of the group norms.
        dropout: of whole channels of R, in training.
    """

    def __init__(
        self,
        channels: Sequence[int],
        width: int,
        context: nn.Module,
        out_channels: int = 1,
        groups: int = _GROUPS,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.out_width = width // 2
        self.squeeze = _normed(sum(channels), width, groups)
        self.context = context
        self.align = _normed(width, self.out_width, groups)
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(self.out_width, out_channels, 1)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Decode maps (B, C_i, h_i, w_i), from fine to coarse: logits (B, 1, h_1, w_1) and R (B, C, h_1, w_1)."""
        size = [maps[0].shape[2], maps[0].shape[3]]
        resized = [F.interpolate(value, size, mode="bilinear", align_corners=False) for value in maps[:0:-1]]
        features = self.align(self.context(self.squeeze(torch.cat([*resized, maps[0]], dim=1))))
        return self.classify(self.dropout(features)), features


class FactorisingDecoder(AllScaleHead):
    """Form A.

    Args:
        channels: of the maps, from fine to coarse.
        width: of the factorised features.
        rank: number of bases.
        learned_bases: whether the bases that the factorisation starts from learn; otherwise they are drawn from a seed.
        seed: of the bases.
    """

    def __init__(
        self, channels: Sequence[int], width: int, *, rank: int = 64, learned_bases: bool = False, seed: int = 0
    ) -> None:
        factorisation = Factorisation(width, rank, is_learned=learned_bases, seed=seed)
        super().__init__(channels, width, Hamburger(width, factorisation))

    def forward(self, maps: Sequence[Tensor], uncertainty: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Decode as ``AllScaleHead``; where it is uncertain makes no difference."""
        return super().forward(maps)


def _normed(in_channels: int, out_channels: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.GroupNorm(groups, out_channels), nn.ReLU(inplace=True)
    )
