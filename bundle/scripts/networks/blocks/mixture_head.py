# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The dense head of PMMs and RPMMs, built on CANet's (Zhang et al., CVPR 2019).

A query's map meets every mean of the foreground (P-Conv), then come a residual trunk, a pyramid of dilated convolutions
and the classifier. PMMs normalises by batch norm where RPMMs drops channels.

P-Conv is a convolution of the map with the mean beside it at every position. Before its norm it is linear: the map's
part is computed once for all means (and all stages of RPMMs), and a mean's part is constant but for the border, where
taps fall outside the grid.
"""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvUnit", "MixtureHead", "PrototypeConv"]

_PYRAMID_DILATIONS = (6, 12, 18)
_FAST_1X1 = 2
"""Dilation means nothing to a 1x1 convolution, but with it PyTorch takes oneDNN on a CPU, which is twice as fast there
as the matrix product that it takes otherwise."""


class ConvUnit(nn.Module):
    """Convolution of a map, and of further channels where given; batch norm or none; ReLU; dropout of channels or none.

    Args:
        channels: of the map.
        out_channels: of the result.
        extra_channels: of the further map.
        kernel_size: of the convolution, which keeps the size.
        dilation: of the convolution.
        has_norm: whether batch norm follows.
        dropout: share of channels dropped in training.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        *,
        extra_channels: int = 0,
        kernel_size: int = 3,
        dilation: int = 1,
        has_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.conv = SplitConv(channels, out_channels, extra_channels, kernel_size, dilation)
        self.norm = nn.BatchNorm2d(out_channels) if has_norm else nn.Identity()
        self.dropout = float(dropout)

    def forward(self, maps: Tensor, extra: Optional[Tensor] = None) -> Tensor:
        """(N, C, h, w), (N, E, h, w) -> (N, O, h, w)."""
        return self.finish(self.conv(maps, extra))

    def finish(self, maps: Tensor) -> Tensor:
        """What follows the convolution."""
        return F.dropout2d(torch.relu_(self.norm(maps)), self.dropout, self.training)


class SplitConv(nn.Conv2d):
    """Convolution of two maps side by side, of which the second may be missing.

    Args:
        channels: of the first map.
        out_channels: of the result.
        extra_channels: of the second map.
        kernel_size: of the convolution, which keeps the size.
        dilation: of the convolution.
    """

    def __init__(self, channels: int, out_channels: int, extra_channels: int, kernel_size: int, dilation: int) -> None:
        padding = dilation * (kernel_size // 2)
        if kernel_size == 1:
            dilation = _FAST_1X1
        super().__init__(channels + extra_channels, out_channels, kernel_size, padding=padding, dilation=dilation)
        self.first = channels

    def forward(self, maps: Tensor, extra: Optional[Tensor] = None) -> Tensor:
        """(N, C, h, w), (N, E, h, w) or None for zeros -> (N, O, h, w)."""
        if extra is not None:
            return F.conv2d(torch.cat([maps, extra], dim=1), self.weight, self.bias, 1, self.padding, self.dilation)
        return F.conv2d(maps, self.weight[:, : self.first], self.bias, 1, self.padding, self.dilation)


class PrototypeConv(nn.Module):
    """P-Conv: the map and a mean through one dilated convolution, summed over the means.

    Args:
        channels: of map, means and result.
        has_norm: as for :class:`ConvUnit`.
        dropout: see there.
    """

    def __init__(self, channels: int, has_norm: bool, dropout: float) -> None:
        super().__init__()
        self.unit = ConvUnit(
            channels, channels, extra_channels=channels, dilation=2, has_norm=has_norm, dropout=dropout
        )

    def query_part(self, maps: Tensor) -> Tensor:
        """The map's part, for all means: (B, C, h, w) -> (B, C, h, w)."""
        part: Tensor = self.unit.conv(maps)
        return part

    def forward(self, query_part: Tensor, means: Tensor) -> Tensor:
        """Sum over the means.

        Args:
            query_part: (B, C, h, w) from :meth:`query_part`.
            means: (B, k, C).

        Returns:
            (B, C, h, w).
        """
        is_inside = _taps_inside(query_part, 2)
        channels = means.shape[2]
        weight = self.unit.conv.weight[:, channels:].flatten(2)  # (O, C, 9)
        taps = torch.matmul(means, weight.permute(1, 2, 0).flatten(1)).unflatten(2, [9, channels])  # (B, k, 9, O)
        total = self.of_mean(query_part, is_inside, taps[:, 0])
        for index in range(1, means.shape[1]):
            total = total + self.of_mean(query_part, is_inside, taps[:, index])
        return total

    def of_mean(self, query_part: Tensor, is_inside: Tensor, taps: Tensor) -> Tensor:
        """One mean's map.

        Args:
            query_part: (B, O, h, w).
            is_inside: (h * w, 9), 1 where a tap reads inside the grid.
            taps: (B, 9, O), the mean through every tap.

        Returns:
            (B, O, h, w).
        """
        shares = is_inside.expand(taps.shape[0], -1, -1)
        # Channels last, as the convolution leaves it.
        summed = torch.baddbmm(query_part.flatten(2).transpose(1, 2), shares, taps)
        return self.unit.finish(summed.transpose(1, 2).unflatten(2, [query_part.shape[2], query_part.shape[3]]))


class ResidualBranch(nn.Module):
    """ReLU, convolution, ReLU, convolution; further channels may enter the first.

    Args:
        channels: of map and result.
        extra_channels: of the further map.
    """

    def __init__(self, channels: int, extra_channels: int = 0) -> None:
        super().__init__()
        self.first = SplitConv(channels, channels, extra_channels, 3, 1)
        self.second = SplitConv(channels, channels, 0, 3, 1)

    def forward(self, maps: Tensor, extra: Optional[Tensor] = None) -> Tensor:
        """(N, C, h, w), (N, E, h, w) -> (N, C, h, w)."""
        if extra is not None:
            extra = extra.relu()
        branch: Tensor = self.second(torch.relu_(self.first(maps.relu(), extra)))
        return branch


class MixtureHead(nn.Module):
    """From a query's map and the foreground's means to logits.

    Args:
        channels: C of map and means.
        has_norm: batch norm in P-Conv, after it and before the classifier (PMMs), or dropout of channels there (RPMMs).
        match_channels: of the map that enters right after P-Conv: 2 for RPMMs' match, 0 for PMMs.
        dropout: share of channels dropped in training.
    """

    def __init__(self, channels: int, *, has_norm: bool, match_channels: int, dropout: float) -> None:
        super().__init__()
        own_dropout = 0.0 if has_norm else dropout
        self.prototypes = PrototypeConv(channels, has_norm, own_dropout)
        self.smooth = ConvUnit(
            channels, channels, extra_channels=match_channels, has_norm=has_norm, dropout=own_dropout
        )
        self.trunk = nn.ModuleList([ResidualBranch(channels, 2), ResidualBranch(channels), ResidualBranch(channels)])
        self.pool = ConvUnit(channels, channels, kernel_size=1, dropout=dropout)
        self.pyramid = nn.ModuleList([ConvUnit(channels, channels, kernel_size=1, dropout=dropout)])
        for dilation in _PYRAMID_DILATIONS:
            self.pyramid.append(ConvUnit(channels, channels, dilation=dilation, dropout=dropout))
        branches = 1 + len(self.pyramid)
        self.merge = ConvUnit(branches * channels, channels, kernel_size=1, has_norm=has_norm, dropout=own_dropout)
        self.classify = SplitConv(channels, 2, 0, 1, 1)

    def forward(
        self, query_part: Tensor, means: Tensor, match: Optional[Tensor] = None, extra: Optional[Tensor] = None
    ) -> Tensor:
        """Compute the logits.

        Args:
            query_part: (B, C, h, w) from ``prototypes.query_part``.
            means: (B, k, C) of the foreground.
            match: (B, 2, h, w) that enters right after P-Conv, if the head has a place for it.
            extra: (B, 2, h, w) that enters the trunk; None for zeros.

        Returns:
            (B, 2, h, w).
        """
        maps = self.smooth(self.prototypes(query_part, means), match)
        for index, branch in enumerate(self.trunk):
            maps = maps + branch(maps, extra if index == 0 else None)
        logits: Tensor = self.classify(self.merge.finish(self.merged(maps)))
        return logits

    def merged(self, maps: Tensor) -> Tensor:
        """The pyramid's branches through the convolution that merges them, one at a time."""
        channels = maps.shape[1]
        pooled = self.pool(maps.mean(dim=[2, 3], keepdim=True))
        weight = self.merge.conv.weight
        dilation = self.merge.conv.dilation
        merged = F.conv2d(pooled, weight[:, :channels], self.merge.conv.bias)
        for index, branch in enumerate(self.pyramid):
            start = (1 + index) * channels
            part = weight[:, start : start + channels]
            merged = merged + F.conv2d(branch(maps), part, None, 1, 0, dilation)
        return merged


def _taps_inside(like: Tensor, dilation: int) -> Tensor:
    """Which taps of a 3x3 convolution read inside the grid of (B, C, h, w): (h * w, 9) of zeros and ones."""
    ones = torch.ones([1, 1, like.shape[2], like.shape[3]], dtype=like.dtype, device=like.device)
    return F.unfold(ones, 3, dilation=dilation, padding=dilation)[0].t()
