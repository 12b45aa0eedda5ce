# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Aligned matching: dense matching at several levels with a position prior in aligned coordinates; no training.

For every level l and query cell x, with support cells y at coordinates A y (A: robust affine from support to query),

    sim_l(x, y) = cos(q_l(x) - m_l, s_l(y) - m_l) - prior * |x - A y|^2        m_l: mean of the pair's features
    score(x)    = sum_l [mean of top 3 over foreground y - mean of top 3 over background y] - kappa * bias

``bias`` is the support's own (``blocks/support_bias.py``). Several supports: foreground and background maps are the
average of the mean and the maximum over supports, biases are averaged.
"""

from collections.abc import Sequence
from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from scripts.networks.blocks.alignment import (
    align_affine,
    append_position,
    apply_affine,
    cell_centres,
    identity_affine,
    resize_cells,
)
from scripts.networks.blocks.support_bias import support_bias, top_mean
from scripts.networks.hosts.base import Host, check_levels

__all__ = ["AlignedMatching", "AlignedMatchingContext"]


class AlignedMatchingContext(NamedTuple):
    """What a prompt leaves behind (N = grid * grid cells, M = align_grid * align_grid, C = channels of all levels)."""

    vectors: Tensor
    """(B, K, C, N) features of all levels on the support grid, levels one after another."""
    coarse: Tensor
    """(B, K, C', M) features of the levels that are aligned."""
    mean: Tensor
    """(B, K, C) mean feature of each support."""
    foreground: Tensor
    """(B, K, N) bool."""
    background: Tensor
    """(B, K, N) bool."""
    bias: Tensor
    """(B, K) bias of each support."""


class AlignedMatching(Host):
    """Training-free host.

    Args:
        channels: channels per level; not needed, taken so that every host is built alike.
        levels: levels matched.
        align_levels: levels that the alignment looks at; empty switches it off.
        grid: support cells per side; query maps at least as fine are matched at this grid, coarser at half of it.
        align_grid: cells per side for the alignment.
        prior: weight of the squared distance (image side = 1).
        top: matches averaged.
        bias_weight: kappa, weight of the support's bias; 0 switches it off.
        bias_hidden: radius in cells of the neighbourhood hidden in the bias.
        bias_near: radius in cells of the background beside the object.
        smoothing: standard deviation in cells of the Gaussian on the score; 0 switches it off.
        max_share: share of the maximum over supports, the rest is their mean.
        temperature: logits are the score divided by it.
    """

    align_levels: list[str]

    def __init__(
        self,
        channels: Optional[dict[str, int]] = None,
        *,
        levels: Sequence[str] = ("c2", "c3", "c4", "c5"),
        align_levels: Sequence[str] = ("c4", "c5"),
        grid: int = 50,
        align_grid: int = 25,
        prior: float = 1.0,
        top: int = 3,
        bias_weight: float = 1.5,
        bias_hidden: int = 3,
        bias_near: int = 5,
        smoothing: float = 0.5,
        max_share: float = 0.5,
        temperature: float = 0.1,
    ) -> None:
        super().__init__()
        self.levels = check_levels("aligned_matching", levels, channels)
        self.align_levels = list(align_levels)
        if not set(align_levels) <= set(self.levels):
            raise ValueError(f"align_levels {self.align_levels} must be among levels {list(self.levels)}")
        if grid < 2 or align_grid < 2 or top < 1 or temperature <= 0:
            raise ValueError(
                f"grid {grid} and align_grid {align_grid} must be at least 2, top {top} at least 1, "
                f"temperature {temperature} positive"
            )
        self.grid = grid
        self.align_grid = align_grid
        self.prior = float(prior)
        self.top = top
        self.bias_weight = float(bias_weight)
        self.bias_hidden = bias_hidden
        self.bias_near = bias_near
        self.smoothing = float(smoothing)
        self.max_share = float(max_share)
        self.temperature = float(temperature)

    def encode(
        self, support_features: dict[str, Tensor], support_mask: Tensor, text_embedding: Optional[Tensor] = None
    ) -> AlignedMatchingContext:
        """Prepare the support.

        Args:
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}; 255 is neither foreground nor background.
            text_embedding: not used.
        """
        batch, shots = support_mask.shape[0], support_mask.shape[1]
        vectors: list[Tensor] = []
        coarse: list[Tensor] = []
        means: list[Tensor] = []
        for level in self.levels:
            features = _at_least_float32(support_features[level]).flatten(0, 1)
            vectors.append(resize_cells(features, self.grid))
            means.append(features.mean(dim=(2, 3)))
            if level in self.align_levels:
                coarse.append(resize_cells(features, self.align_grid))
        if len(coarse) == 0:
            coarse.append(vectors[0][:, :0, : self.align_grid * self.align_grid])
        foreground, background = select_cells(support_mask.flatten(0, 1), self.grid)
        bias: list[Tensor] = []
        for n in range(batch * shots):
            if self.bias_weight == 0:
                bias.append(torch.zeros_like(means[0][0, 0]))
            else:
                units = [
                    F.normalize(vector[n] - mean[n].unsqueeze(1), dim=0)
                    for vector, mean in zip(vectors, means)  # noqa: B905 (TorchScript has no strict)
                ]
                bias.append(
                    support_bias(
                        units,
                        foreground[n],
                        background[n],
                        self.grid,
                        self.prior,
                        self.bias_hidden,
                        self.bias_near,
                        self.top,
                    )
                )
        return AlignedMatchingContext(
            vectors=torch.cat(vectors, dim=1).unflatten(0, (batch, shots)),
            coarse=torch.cat(coarse, dim=1).unflatten(0, (batch, shots)),
            mean=torch.cat(means, dim=1).unflatten(0, (batch, shots)),
            foreground=foreground.unflatten(0, (batch, shots)),
            background=background.unflatten(0, (batch, shots)),
            bias=torch.stack(bias).unflatten(0, (batch, shots)),
        )

    def decode(self, features: dict[str, Tensor], context: AlignedMatchingContext) -> Tensor:
        """Score the query: {level: (B, C, h, w)} -> logits (B, 2, grid, grid)."""
        maps = self.similarity_maps(features, context)
        pooled = (1.0 - self.max_share) * maps.mean(dim=1) + self.max_share * maps.amax(dim=1)
        score = (pooled[:, :, 0] - pooled[:, :, 1]).sum(dim=1) - self.bias_weight * context.bias.mean(dim=1).view(
            -1, 1, 1
        )
        if self.smoothing > 0:
            score = gaussian_smooth(score.unsqueeze(1), self.smoothing).squeeze(1)
        return torch.stack([-score, score], dim=1) / (2.0 * self.temperature)

    def similarity_maps(self, features: dict[str, Tensor], context: AlignedMatchingContext) -> Tensor:
        """Best similarities of every query cell, by support, level and side.

        Args:
            features: {level: (B, C, h, w)}.
            context: of :meth:`encode`.

        Returns:
            (B, K, L, 2, grid, grid), channel 0 to foreground, 1 to background, less prior * squared distance.
        """
        batch, shots = context.mean.shape[0], context.mean.shape[1]
        maps: dict[str, Tensor] = {level: _at_least_float32(features[level]) for level in self.levels}
        query_mean = torch.cat([maps[level].mean(dim=(2, 3)) for level in self.levels], dim=1)
        centre = (query_mean.unsqueeze(1) + context.mean) / 2
        affine = self.align(maps, centre, context)
        support_positions = apply_affine(affine, cell_centres(self.grid, self.grid, affine))
        support_positions = support_positions.unflatten(0, (batch, shots))
        levels: list[Tensor] = []
        start = 0
        for level in self.levels:
            width = maps[level].shape[1]
            grid = self.grid if min(maps[level].shape[2], maps[level].shape[3]) >= self.grid else self.grid // 2
            query_positions = cell_centres(grid, grid, affine)
            cells = resize_cells(maps[level], grid)
            best: list[Tensor] = []
            for b in range(batch):
                for k in range(shots):
                    middle = centre[b, k, start : start + width].unsqueeze(1)
                    query = F.normalize(cells[b] - middle, dim=0)
                    support = F.normalize(context.vectors[b, k, start : start + width] - middle, dim=0)
                    query = append_position(query, query_positions, self.prior, True).transpose(0, 1)
                    support = append_position(support, support_positions[b, k], self.prior, False)
                    best.append(top_mean(torch.matmul(query, support[:, context.foreground[b, k]]), self.top))
                    best.append(top_mean(torch.matmul(query, support[:, context.background[b, k]]), self.top))
            level_maps = torch.stack(best).view(batch * shots, 2, grid, grid)
            if grid != self.grid:
                level_maps = F.interpolate(level_maps, [self.grid, self.grid], mode="bilinear", align_corners=False)
            levels.append(level_maps.unflatten(0, (batch, shots)))
            start += width
        return torch.stack(levels, dim=2)

    def align(self, features: dict[str, Tensor], centre: Tensor, context: AlignedMatchingContext) -> Tensor:
        """Affine maps from support to query coordinates.

        Args:
            features: {level: (B, C, h, w)} of the query.
            centre: (B, K, C) mean of each pair, all levels.
            context: of :meth:`encode`.

        Returns:
            (B * K, 2, 3).
        """
        batch, shots = centre.shape[0], centre.shape[1]
        if len(self.align_levels) == 0:
            return identity_affine(batch * shots, centre)
        query: list[Tensor] = []
        support: list[Tensor] = []
        start = 0
        begin = 0
        for level in self.levels:
            width = features[level].shape[1]
            if level in self.align_levels:
                middle = centre[:, :, start : start + width].flatten(0, 1).unsqueeze(2)
                cells = resize_cells(features[level], self.align_grid).repeat_interleave(shots, dim=0)
                other = context.coarse[:, :, begin : begin + width].flatten(0, 1)
                query.append(F.normalize(cells - middle, dim=1))
                support.append(F.normalize(other - middle, dim=1))
                begin += width
            start += width
        scale = 1.0 / len(query)
        return align_affine(torch.cat(query, dim=1) * scale, torch.cat(support, dim=1), self.align_grid, self.prior)


def select_cells(mask: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """Support cells that are clearly foreground or background.

    Args:
        mask: (N, 1, H, W) in {0, 1, 255}.
        grid: cells per side.

    Returns:
        two (N, grid * grid) bool: more than half foreground, and more than nine tenths background; where a side has
        no such cell, its cells of largest coverage.
    """
    planes = torch.stack([mask[:, 0] == 1, mask[:, 0] == 0], dim=1).to(torch.float32)
    coverage = F.interpolate(planes, [grid, grid], mode="area").flatten(2)
    chosen = coverage > torch.tensor([[[0.5], [0.9]]], device=mask.device)
    largest = coverage >= coverage.amax(dim=2, keepdim=True)
    chosen = torch.where(chosen.any(dim=2, keepdim=True), chosen, largest)
    return chosen[:, 0], chosen[:, 1]


def gaussian_smooth(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian filter of (N, 1, h, w) maps, cut at four standard deviations, edges repeated."""
    radius = int(4.0 * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma).square())
    kernel = kernel / kernel.sum()
    padded = F.pad(maps, [radius, radius, radius, radius], mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))


def _at_least_float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype == torch.float16 or x.dtype == torch.bfloat16 else x
