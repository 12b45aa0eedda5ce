# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Matching: dense nearest neighbours at several levels; nothing is trained.

For every level l, with query cell x and support cell y (image side = 1, all levels on the finest grid),

    sim_l(x, y) = cos(q_l(x) - m_l, s_l(y) - m_l) - position_prior * |x - y|^2
    score(x)    = sum_l [mean of the top 3 sim_l over foreground y - the same over background y]

``m_l`` is the mean feature of the query and its support set. With several supports, the foreground and background maps
are the average of their mean and their maximum over the supports.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from ..blocks.alignment import append_position, cell_centres
from ..blocks.levels import at_least_float32, to_finest_grid
from ..blocks.masks import sure_cells
from ..blocks.similarity import gather_chosen, mean_of_nearest
from .base import Host, check_levels

__all__ = ["Matching", "MatchingContext"]


class MatchingContext(NamedTuple):
    """What a prompt leaves behind (C = channels of all levels together, h x w = the finest support grid)."""

    support: Tensor
    """(B, K, C, h, w) features of all levels on the finest grid, levels one after another."""
    mean: Tensor
    """(B, K, C) mean feature of each support."""
    foreground: Tensor
    """(B, K, h * w) bool; none in an empty shot."""
    background: Tensor
    """(B, K, h * w) bool."""


class Matching(Host):
    """Training-free host.

    An empty support mask is left out; an episode of only such masks has no foreground. A mask of one pixel keeps the
    cell that it covers most.

    Args:
        channels: channels per level, to check ``levels`` against; they are not needed otherwise.
        levels: levels matched.
        top: nearest cells averaged.
        position_prior: weight of the squared distance (image side = 1); 0 ignores position.
        is_centred: whether the mean feature of query and supports is subtracted.
        max_share: share of the maximum over supports in their combination; the rest is the mean.
        temperature: logits are the score divided by it.
        budget: similarities held at a time (4 bytes each); larger problems are cut into chunks of query cells.
        guidance: must be None: there is no prototype that a text could be fused with.

    Raises:
        ValueError: for levels that the backbone lacks, values out of range, or a guidance.
    """

    takes_text: bool = False

    def __init__(
        self,
        channels: Optional[dict[str, int]] = None,
        *,
        levels: Sequence[str] = ("c3", "c4", "c5"),
        top: int = 3,
        position_prior: float = 0.0,
        is_centred: bool = True,
        max_share: float = 0.5,
        temperature: float = 0.1,
        budget: int = 2**25,
        guidance: Any = None,
    ) -> None:
        super().__init__()
        if guidance is not None:
            raise ValueError("host 'matching' takes no text guidance; take 'prototype' or 'ifa', or leave the text off")
        if top < 1 or position_prior < 0 or not 0 <= max_share <= 1 or temperature <= 0 or budget < 1:
            raise ValueError(
                f"host 'matching': top {top} and budget {budget} must be at least 1, position_prior {position_prior} "
                f"not negative, max_share {max_share} in [0, 1], temperature {temperature} positive"
            )
        self.levels = check_levels("matching", levels, channels)
        self.top = int(top)
        self.position_prior = float(position_prior)
        self.is_centred = bool(is_centred)
        self.max_share = float(max_share)
        self.temperature = float(temperature)
        self.budget = int(budget)

    def encode(
        self, support_features: dict[str, Tensor], support_mask: Tensor, text_embedding: Optional[Tensor] = None
    ) -> MatchingContext:
        """Prepare the support.

        Args:
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}; 255 is neither foreground nor background.
            text_embedding: not used.
        """
        shape = [support_mask.shape[0], support_mask.shape[1]]
        flat: dict[str, Tensor] = {}
        for level in self.levels:
            flat[level] = support_features[level].flatten(0, 1)
        stacked, mean = self.stack_levels(flat)
        foreground, background = sure_cells(support_mask.flatten(0, 1), [stacked.shape[2], stacked.shape[3]])
        return MatchingContext(
            support=stacked.unflatten(0, shape),
            mean=mean.unflatten(0, shape),
            foreground=foreground.unflatten(0, shape),
            background=background.unflatten(0, shape),
        )

    def decode(self, features: dict[str, Tensor], context: MatchingContext) -> Tensor:
        """Score the query: {level: (B, C, h, w)} -> logits (B, 2, h, w) on the finest grid."""
        stacked, mean = self.stack_levels(features)
        has_foreground = context.foreground.any(dim=2)
        centre = self.centre(mean, context.mean, has_foreground)
        query = stacked.flatten(2) - centre.unsqueeze(2)
        support = context.support.flatten(3) - centre.unsqueeze(1).unsqueeze(3)
        query_positions = cell_centres(stacked.shape[2], stacked.shape[3], stacked)
        positions = cell_centres(context.support.shape[3], context.support.shape[4], stacked)
        # Background of empty shots counts only where an episode has no other.
        used = has_foreground | ~has_foreground.any(dim=1, keepdim=True)
        background = context.background & used.unsqueeze(2)
        score = torch.zeros_like(query[:, 0])
        start = 0
        for level in self.levels:
            width = features[level].shape[1]
            queries = F.normalize(query[:, start : start + width], dim=1).unsqueeze(1)
            supports = F.normalize(support[:, :, start : start + width], dim=2)
            if self.position_prior > 0:
                queries = append_position(queries, query_positions, self.position_prior, True)
                supports = append_position(supports, positions, self.position_prior, False)
            score = score + self.best(queries, supports, context.foreground)
            score = score - self.best(queries, supports, background)
            start += width
        score = score.unflatten(1, [stacked.shape[2], stacked.shape[3]])
        return torch.stack([-score, score], dim=1) / (2.0 * self.temperature)

    def best(self, query: Tensor, support: Tensor, chosen: Tensor) -> Tensor:
        """Similarity of every query cell with the nearest chosen support cells, supports combined.

        Args:
            query: (B, 1, C, P).
            support: (B or 1, K, C, N).
            chosen: (B or 1, K, N) bool.

        Returns:
            (B, P); the lowest possible value where no support has a chosen cell.
        """
        cells, is_cell = gather_chosen(support, chosen.expand(support.shape[:2] + chosen.shape[2:]))
        nearest = mean_of_nearest(query, cells, is_cell, self.top, self.budget)
        has_cell = is_cell.any(dim=2, keepdim=True)
        lowest = -1.0 - 2.0 * self.position_prior
        mean = nearest.sum(dim=1) / has_cell.sum(dim=1).clamp_min(1)
        largest = nearest.masked_fill(~has_cell, lowest).amax(dim=1)
        combined = (1.0 - self.max_share) * mean + self.max_share * largest
        return torch.where(has_cell.any(dim=1), combined, torch.full_like(combined, lowest))

    def centre(self, query_mean: Tensor, support_mean: Tensor, has_foreground: Tensor) -> Tensor:
        """Mean feature of a query and its non-empty supports.

        Args:
            query_mean: (B, C).
            support_mean: (B or 1, K, C).
            has_foreground: (B or 1, K) bool.

        Returns:
            (B, C); zero when features are not centred.
        """
        if not self.is_centred:
            return torch.zeros_like(query_mean)
        share = has_foreground.to(query_mean.dtype).unsqueeze(2)
        return (query_mean + (support_mean * share).sum(dim=1)) / (1.0 + share.sum(dim=1))

    def stack_levels(self, features: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Bring all levels to the finest grid, one after another along the channels.

        Args:
            features: {level: (N, C, h, w)}.

        Returns:
            (N, C, h, w) in float32 at least, and (N, C) means over each level's own grid.
        """
        maps: list[Tensor] = []
        means: list[Tensor] = []
        for level in self.levels:
            values = at_least_float32(features[level])
            maps.append(values)
            means.append(values.mean(dim=[2, 3]))
        return torch.cat(to_finest_grid(maps), dim=1), torch.cat(means, dim=1)
