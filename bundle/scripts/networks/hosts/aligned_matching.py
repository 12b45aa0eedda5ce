# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Aligned matching: dense matching at several levels with a position prior in aligned coordinates; no training.

For every level l, query cell x and support cell y,

    sim_l(x, y) = cos(q_l(x) - m_l, s_l(y) - m_l) - prior * |phi(x) - y|^2     m_l: mean of the pair's features
    score(x)    = sum_l [mean of top 3 over foreground y - mean of top 3 over background y] - kappa * bias

phi(x) is the place of x in the support image: a robust affine map where the two images show different scenes, a smooth
deformation, with a far stronger prior, where they show the same one (``blocks/alignment.py``,
``blocks/deformation.py``). Which of the two is decided by the features alone, by the share of cells that the
deformations in both directions bring back to themselves. ``bias`` is the support's own (``blocks/support_bias.py``).
Several supports: foreground and background maps are the average of the mean and the maximum over supports, biases are
averaged.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from ..blocks.alignment import align_affine, apply_affine, cell_centres, resize_cells
from ..blocks.deformation import consistent_share, deform, gaussian_smooth, invert_affine, resize_field
from ..blocks.level_similarity import best_matches, mean_similarity, pair_similarities
from ..blocks.levels import at_least_float32
from ..blocks.masks import sure_cells
from ..blocks.support_bias import support_bias
from .base import Host, check_levels

__all__ = ["AlignedMatching", "AlignedMatchingContext"]


class AlignedMatchingContext(NamedTuple):
    """What a prompt leaves behind (N = grid^2 cells, M = coarse_grid^2 cells, C = channels of all levels)."""

    vectors: Tensor
    """(B, K, C, N) features of all levels on the support grid, levels one after another."""
    coarse: Tensor
    """(B, K, C, M) the same on the grid of the alignment."""
    mean: Tensor
    """(B, K, C) mean feature of each support."""
    foreground: Tensor
    """(B, K, N) bool; none in an empty shot."""
    background: Tensor
    """(B, K, N) bool."""
    bias: Tensor
    """(B, K) bias of each support."""


class AlignedMatching(Host):
    """Training-free host.

    An empty support mask is left out; an episode of only such masks has no foreground.

    Args:
        channels: channels per level, to check ``levels`` against; not needed otherwise.
        levels: levels matched.
        align_levels: levels that the affine alignment looks at; empty switches it off.
        grid: support cells per side; query maps at least as fine are matched at this grid, coarser at half of it.
        coarse_grid: cells per side for the alignment and the deformation's coarse steps.
        position_prior: weight of the squared distance (image side = 1) where the images are not of one scene.
        scene_prior: the same where they are.
        scene_range: shares of consistent cells at which the deformation begins to count and counts wholly; both 1 or
            more switches it off.
        top: matches averaged.
        bias_weight: kappa, weight of the support's bias; 0 switches it off.
        bias_hidden: radius in cells of the neighbourhood hidden in the bias.
        bias_near: radius in cells of the background beside the object.
        smoothing: standard deviation in cells of the Gaussian on the score; 0 switches it off.
        max_share: share of the maximum over supports, the rest is their mean.
        temperature: logits are the score divided by it.
        guidance: must be None: there is no prototype that a text could be fused with.

    Raises:
        ValueError: for levels that the backbone lacks, values out of range, or a guidance.
    """

    align_levels: list[str]
    coarse_priors: list[float]
    coarse_sigmas: list[float]
    fine_priors: list[float]
    fine_sigmas: list[float]

    takes_text: bool = False

    def __init__(
        self,
        channels: Optional[dict[str, int]] = None,
        *,
        levels: Sequence[str] = ("c2", "c3", "c4", "c5"),
        align_levels: Sequence[str] = ("c4", "c5"),
        grid: int = 50,
        coarse_grid: int = 25,
        position_prior: float = 1.0,
        scene_prior: float = 8.0,
        scene_range: Sequence[float] = (0.5, 0.6),
        top: int = 3,
        bias_weight: float = 1.5,
        bias_hidden: int = 3,
        bias_near: int = 5,
        smoothing: float = 0.5,
        max_share: float = 0.5,
        temperature: float = 0.1,
        guidance: Any = None,
    ) -> None:
        super().__init__()
        if guidance is not None:
            raise ValueError(
                "host 'aligned_matching' takes no text guidance; use 'prototype' or 'ifa', or the overlay text/off"
            )
        self.levels = check_levels("aligned_matching", levels, channels)
        self.align_levels = list(align_levels)
        if not set(align_levels) <= set(self.levels):
            raise ValueError(
                f"host 'aligned_matching': align_levels {self.align_levels} must be among levels {list(self.levels)}"
            )
        if grid < 4 or coarse_grid < 4 or top < 1 or temperature <= 0 or not 0 <= max_share <= 1:
            raise ValueError(
                f"host 'aligned_matching': grid {grid} and coarse_grid {coarse_grid} must be at least 4, top {top} at "
                f"least 1, temperature {temperature} positive, max_share {max_share} in [0, 1]"
            )
        if position_prior < 0 or scene_prior < 0 or len(scene_range) != 2 or not scene_range[0] <= scene_range[1]:
            raise ValueError(
                f"host 'aligned_matching': position_prior {position_prior} and scene_prior {scene_prior} must not be "
                f"negative, scene_range {list(scene_range)} must be two ascending numbers"
            )
        self.grid = grid
        self.coarse_grid = coarse_grid
        self.position_prior = float(position_prior)
        self.scene_prior = float(scene_prior)
        self.scene_start = float(scene_range[0])
        self.scene_end = float(scene_range[1])
        self.top = top
        self.bias_weight = float(bias_weight)
        self.bias_hidden = bias_hidden
        self.bias_near = bias_near
        self.smoothing = float(smoothing)
        self.max_share = float(max_share)
        self.temperature = float(temperature)
        self.coarse_priors = [2.0, 4.0, 8.0]
        self.coarse_sigmas = [2.0, 1.5, 1.0]
        self.fine_priors = [16.0, 16.0]
        self.fine_sigmas = [1.5, 1.0]

    def encode(
        self, support_features: dict[str, Tensor], support_mask: Tensor, text_embedding: Optional[Tensor] = None
    ) -> AlignedMatchingContext:
        """Prepare the support.

        Args:
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}; 255 is neither foreground nor background.
            text_embedding: not used.
        """
        shape = [support_mask.shape[0], support_mask.shape[1]]
        vectors: list[Tensor] = []
        coarse: list[Tensor] = []
        means: list[Tensor] = []
        for level in self.levels:
            features = at_least_float32(support_features[level]).flatten(0, 1)
            vectors.append(resize_cells(features, self.grid))
            coarse.append(resize_cells(features, self.coarse_grid))
            means.append(features.mean(dim=(2, 3)))
        foreground, background = sure_cells(support_mask.flatten(0, 1), [self.grid, self.grid])
        bias: list[Tensor] = []
        for n in range(shape[0] * shape[1]):
            bias.append(self.bias_of(vectors, means, foreground, background, n))
        return AlignedMatchingContext(
            vectors=torch.cat(vectors, dim=1).unflatten(0, shape),
            coarse=torch.cat(coarse, dim=1).unflatten(0, shape),
            mean=torch.cat(means, dim=1).unflatten(0, shape),
            foreground=foreground.unflatten(0, shape),
            background=background.unflatten(0, shape),
            bias=torch.stack(bias).unflatten(0, shape),
        )

    def decode(self, features: dict[str, Tensor], context: AlignedMatchingContext) -> Tensor:
        """Score the query: {level: (B, C, h, w)} -> logits (B, 2, grid, grid)."""
        maps = self.similarity_maps(features, context)
        has_object = context.foreground.any(dim=2)
        is_used = has_object | ~has_object.any(dim=1, keepdim=True)
        share = is_used.to(maps.dtype) / is_used.sum(dim=1, keepdim=True)
        mean = torch.einsum("bk,bklshw->blshw", share, maps)
        largest = maps.masked_fill(~is_used.view(maps.shape[0], maps.shape[1], 1, 1, 1, 1), -1e4).amax(dim=1)
        pooled = (1.0 - self.max_share) * mean + self.max_share * largest
        bias = self.bias_weight * (share * context.bias).sum(dim=1)
        score = (pooled[:, :, 0] - pooled[:, :, 1]).sum(dim=1) - bias.view(-1, 1, 1)
        if self.smoothing > 0:
            score = gaussian_smooth(score.unsqueeze(1), self.smoothing).squeeze(1)
        return torch.stack([-score, score], dim=1) / (2.0 * self.temperature)

    def bias_of(
        self, vectors: list[Tensor], means: list[Tensor], foreground: Tensor, background: Tensor, index: int
    ) -> Tensor:
        """Bias of one support, from the vectors (N, C_l, cells), means (N, C_l) and cells (N, cells) of all: ()."""
        if self.bias_weight == 0:
            return torch.zeros_like(means[0][0, 0])
        units: list[Tensor] = []
        for level in range(len(vectors)):
            units.append(F.normalize(vectors[level][index] - means[level][index].unsqueeze(1), dim=0))
        return support_bias(
            units,
            foreground[index],
            background[index],
            self.grid,
            self.position_prior,
            self.bias_hidden,
            self.bias_near,
            self.top,
        )

    def similarity_maps(self, features: dict[str, Tensor], context: AlignedMatchingContext) -> Tensor:
        """Best similarities of every query cell, by support, level and side.

        Args:
            features: {level: (B, C, h, w)}.
            context: of :meth:`encode`.

        Returns:
            (B, K, L, 2, grid, grid), side 0 to foreground, 1 to background, less prior * squared distance.
        """
        batch, shots = context.mean.shape[0], context.mean.shape[1]
        maps: dict[str, Tensor] = {}
        means: list[Tensor] = []
        for level in self.levels:
            maps[level] = at_least_float32(features[level])
            means.append(maps[level].mean(dim=(2, 3)))
        centre = (torch.cat(means, dim=1).unsqueeze(1) + context.mean) / 2
        affine, deformed, trust = self.correspond(maps, centre, context)
        best: list[Tensor] = []
        for b in range(batch):
            for k in range(shots):
                pair = b * shots + k
                similarities = pair_similarities(maps, centre[b, k], context.vectors[b, k], b, self.grid)
                places, prior, weight = affine[pair], self.position_prior, float(trust[pair])
                if weight > 0:
                    mean = mean_similarity(similarities, self.grid).unsqueeze(0)
                    fine = deform(mean, deformed[pair].unsqueeze(0), self.grid, self.fine_priors, self.fine_sigmas)
                    places = places + weight * (fine[0] - places)
                    prior = prior + weight * (self.scene_prior - prior)
                foreground, background = context.foreground[b, k], context.background[b, k]
                best.append(best_matches(similarities, places, prior, foreground, background, self.grid, self.top))
        return torch.unflatten(torch.stack(best), 0, [batch, shots])

    def correspond(
        self, features: dict[str, Tensor], centre: Tensor, context: AlignedMatchingContext
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Affine alignment of all pairs, and whether they show one scene.

        Args:
            features: {level: (B, C, h, w)} of the query.
            centre: (B, K, C) mean of each pair, all levels.
            context: of :meth:`encode`.

        Returns:
            (B * K, N, 2) place of every query cell in the support image by the affine map, the same by a deformation,
            and (B * K,) trust in the latter, in [0, 1].
        """
        shots = centre.shape[1]
        middle = centre.flatten(0, 1).unsqueeze(2)
        query: list[Tensor] = []
        support: list[Tensor] = []
        aligned_query: list[Tensor] = []
        aligned_support: list[Tensor] = []
        start = 0
        for level in self.levels:
            end = start + features[level].shape[1]
            cells = resize_cells(features[level], self.coarse_grid).repeat_interleave(shots, dim=0)
            query.append(F.normalize(cells - middle[:, start:end], dim=1))
            support.append(F.normalize(context.coarse[:, :, start:end].flatten(0, 1) - middle[:, start:end], dim=1))
            if level in self.align_levels:
                aligned_query.append(query[-1] / len(self.align_levels))
                aligned_support.append(support[-1])
            start = end
        trust = torch.zeros_like(middle[:, 0, 0])
        fine = cell_centres(self.grid, self.grid, middle).unsqueeze(0).repeat(middle.shape[0], 1, 1)
        if len(self.align_levels) == 0:
            return fine, fine, trust
        affine = align_affine(
            torch.cat(aligned_query, dim=1), torch.cat(aligned_support, dim=1), self.coarse_grid, self.position_prior
        )
        inverse = invert_affine(affine)
        fine = apply_affine(inverse, fine)
        if self.scene_start >= 1:
            return fine, fine, trust
        grid = self.coarse_grid
        coarse = cell_centres(grid, grid, middle)
        similarity = torch.matmul(torch.cat(query, dim=1).transpose(1, 2), torch.cat(support, dim=1)) / len(self.levels)
        forward = deform(similarity, apply_affine(inverse, coarse), grid, self.coarse_priors, self.coarse_sigmas)
        similarity = similarity.transpose(1, 2)
        backward = deform(similarity, apply_affine(affine, coarse), grid, self.coarse_priors, self.coarse_sigmas)
        share = consistent_share(forward, backward, grid)
        trust = ((share - self.scene_start) / max(self.scene_end - self.scene_start, 1e-6)).clamp(0.0, 1.0)
        return fine, resize_field(forward, grid, self.grid), trust
