# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""DMTNet, the Doubly Matching Transformation network (Chen et al., IJCAI 2024), on top of PATNet.

PATNet transforms query and support by the support's prototypes. DMTNet also lets the query speak for itself: compared
with local prototypes of the support it gets a coarse mask, from that prototypes of its own, and with anchors of its own
a second transform; the query goes through the mean of both. In training the query is also correlated with the support's
background, which should find the query's.

Where the released code loses small objects, swaps the query's prototypes or carries what it tuned from one episode to
the next, this class does what the paper means; ``released/dmtnet.py`` does what the code does.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...labels import IGNORED
from ..blocks.anchor_transform import (
    anchor_coordinates,
    correlation_factors,
    inverse_rows,
    unit_rows,
)
from ..blocks.cell_prototypes import cell_prototypes, mean_direction
from ..blocks.hypercorrelation_head import HypercorrelationHead, resize_query
from ..blocks.levels import at_least_float32
from ..blocks.mosaic import mosaic, one_above_another
from ..blocks.pooling import masked_averages
from ..semantic_guidance import SemanticGuidance
from .anchor_host import AnchorHost, Anchors
from .base import TrainingTerm

__all__ = ["DMTNet", "DMTNetContext"]


class DMTNetContext(NamedTuple):
    """What a prompt leaves behind, for P passes and every map."""

    inverse: dict[str, Tensor]
    """{level: (B, P, 2, C)} rows that give a pixel's coordinates, background first."""
    directions: dict[str, Tensor]
    """{level: (B, P, 2, C)} mean of the unit local prototypes, background first."""
    support: dict[str, Tensor]
    """{level: (B, P, 4, h, w)} coordinates of the support's foreground, and of its background; zero elsewhere."""
    text: Tensor
    """(B, D) text embedding; D = 0 without guidance."""


class DMTNet(AnchorHost):
    """DMTNet on the blocks of a frozen backbone.

    K shots are K independent passes, as published, whose foreground probabilities are averaged; or one, as a mosaic.
    Training terms: the query against the support's foreground, and against its background with the mask inverted, both
    with weight 1. The paper's third term, on the coarse maps, has nothing to train (they come from frozen features) and
    is left out.

    Args:
        channels: channels per level.
        levels: blocks of the stages c3, c4 and c5, such as ``c4.2``; None takes all that ``channels`` names. Published:
            the 4, 6 and 3 blocks of ResNet-50.
        guidance: factory ``guidance(channels) -> SemanticGuidance``; its text prototypes are fused with the support's
            before the transform is made, the query's own stay as they are. None for none.
        shot_merging: ``passes`` or ``mosaic``, see :class:`AnchorHost`.

    Raises:
        ValueError: for levels that the backbone lacks, a stage without any, blocks of different width in a stage, or
            an unknown merging.
    """

    def __init__(
        self,
        channels: dict[str, int],
        *,
        levels: Optional[Sequence[str]] = None,
        guidance: Optional[Callable[[dict[str, int]], SemanticGuidance]] = None,
        shot_merging: str = "passes",
    ) -> None:
        super().__init__("dmtnet", channels, levels, guidance, shot_merging)
        self.query_anchors = nn.ModuleList([Anchors(channels[stage[0]]) for stage in self.stages])
        self.dropout = nn.Dropout(0.2)
        self.head = HypercorrelationHead([len(stage) for stage in self.stages])

    def encode(
        self, support_features: dict[str, Tensor], support_mask: Tensor, text_embedding: Optional[Tensor] = None
    ) -> DMTNetContext:
        """Invert every pass's prototypes, and average its local ones.

        Args:
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}; 255 is neither foreground nor background.
            text_embedding: (B, T, D), needed with guidance.
        """
        batch = support_mask.shape[0]
        passes = self.passes(support_features, support_mask, text_embedding)
        inverse: dict[str, Tensor] = {}
        directions: dict[str, Tensor] = {}
        support: dict[str, Tensor] = {}
        for level in self.levels:
            rows, weights = inverse_rows(passes.prototypes[level].flip(1)), passes.weights[level]
            cells, area = cell_prototypes(passes.maps[level].flatten(0, 1), weights.flatten(0, 1).flip(1))
            cells = one_above_another(cells.unflatten(0, weights.shape[:2]))
            area = one_above_another(area.unflatten(0, weights.shape[:2]))
            coordinates = anchor_coordinates(one_above_another(passes.maps[level]), rows)
            sides = one_above_another(weights)
            both = torch.cat([coordinates * sides[:, :1], coordinates * sides[:, 1:]], dim=1)
            inverse[level] = rows.unflatten(0, [batch, -1])
            directions[level] = self.local_direction(cells, area).unflatten(0, [batch, -1])
            support[level] = mosaic(both, passes.is_used).unflatten(0, [batch, -1])
        return DMTNetContext(inverse, directions, support, passes.text)

    def decode(self, features: dict[str, Tensor], context: DMTNetContext) -> Tensor:
        """Segment the query: {level: (B, C, h, w)} -> logits (B, 2, 2h, 2w) at twice the finest grid."""
        query, support, _ = self.factors(features, context)
        return self.merge_shots(self.segment(query, support, context.inverse[self.levels[0]].shape[1]))

    def training_terms(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        query_mask: Tensor,
        context: DMTNetContext,
    ) -> list[TrainingTerm]:
        """The query against the support's foreground, and against its background.

        Args:
            features: {level: (B, C, h, w)} of the query.
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}.
            query_mask: (B, 1, H, W) in {0, 1, 255}.
            context: result of ``encode``.
        """
        query, foreground, background = self.factors(features, context)
        inverted = torch.where(query_mask == IGNORED, query_mask, 1 - query_mask)
        terms: list[TrainingTerm] = []
        for support, target in ((foreground, query_mask), (background, inverted)):
            logits = self.merge_shots(self.segment(query, support, context.inverse[self.levels[0]].shape[1]))
            terms.append(TrainingTerm(self.upsample(logits, target), target, 1.0))
        return terms

    def factors(
        self, features: dict[str, Tensor], context: DMTNetContext
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Thin factors of the correlations of all passes.

        Args:
            features: {level: (B, C, h, w)} of the query.
            context: result of ``encode``, of B episodes, or of one for a batch of queries.

        Returns:
            Per stage, finest first, (B * P, h, w, n, 2) of the query, and (B * P, h', w', n, 2) of the support's
            foreground and of its background.
        """
        query: list[Tensor] = []
        foreground: list[Tensor] = []
        background: list[Tensor] = []
        for index, (anchors, query_anchors) in enumerate(zip(self.anchors, self.query_anchors)):  # noqa: B905 - TorchScript
            queries: list[Tensor] = []
            objects: list[Tensor] = []
            surroundings: list[Tensor] = []
            for level in self.stages[index]:
                maps = at_least_float32(features[level])
                batch = maps.shape[0]
                maps = self.host_maps(maps, context.text.expand(batch, -1))
                inverse = context.inverse[level].expand(batch, -1, -1, -1)
                directions = context.directions[level].expand(batch, -1, -1, -1)
                coordinates = self.query_coordinates(maps, inverse, directions)
                own = context.support[level].expand(batch, -1, -1, -1, -1).flatten(0, 1)
                sides = torch.cat([own[:, :2], own[:, 2:]], dim=2)
                rows = self.anchor_rows(anchors.weight, own.shape[0])  # type: ignore[arg-type]
                query_rows = self.anchor_rows(query_anchors.weight, own.shape[0])  # type: ignore[arg-type]
                pair = correlation_factors(coordinates, sides, torch.cat([query_rows, rows], dim=1), rows)
                queries.append(pair[0])
                objects.append(pair[1][:, : own.shape[2]])
                surroundings.append(pair[1][:, own.shape[2] :])
            query.append(torch.stack(queries, dim=3))
            foreground.append(torch.stack(objects, dim=3))
            background.append(torch.stack(surroundings, dim=3))
        return query, foreground, background

    def query_coordinates(self, maps: Tensor, inverse: Tensor, directions: Tensor) -> Tensor:
        """Coordinates of the query, for the anchors of both transforms.

        Args:
            maps: (B, C, h, w).
            inverse: (B, P, 2, C) of the support.
            directions: (B, P, 2, C).

        Returns:
            (B * P, 4, h, w): half of those by the query's own prototypes, half of those by the support's.
        """
        passes = inverse.shape[1]
        both = anchor_coordinates(maps, torch.cat([inverse, directions], dim=2).flatten(1, 2)).unflatten(1, [passes, 4])
        prototypes = self.query_prototypes(maps, both[:, :, 2:])
        own = anchor_coordinates(maps, inverse_rows(prototypes).flatten(1, 2)).unflatten(1, [passes, 2])
        return 0.5 * torch.cat([own, both[:, :, :2]], dim=2).flatten(0, 1)

    def query_prototypes(self, maps: Tensor, scores: Tensor) -> Tensor:
        """Average the query under its own coarse mask.

        Args:
            maps: (B, C, h, w).
            scores: (B, P, 2, h, w) similarity with the support's local prototypes, background first, up to a positive
                factor per pixel.

        Returns:
            (B, P, 2, C), background first.
        """
        is_foreground = scores[:, :, 1] > scores[:, :, 0]
        hard = torch.stack([~is_foreground, is_foreground], dim=2).to(maps.dtype)
        return torch.unflatten(masked_averages(maps, hard.flatten(1, 2), eps=1e-6), 1, [scores.shape[1], 2])

    def coarse_map(self, maps: Tensor, directions: Tensor) -> Tensor:
        """Ten times the query's mean cosine with the local prototypes, what the coarse mask is the larger of.

        Args:
            maps: (B, C, h, w).
            directions: (B, P, 2, C).

        Returns:
            (B, P, 2, h, w), background first.
        """
        unit = F.normalize(maps.flatten(2), dim=1, eps=1e-8)
        cosine = torch.matmul(directions.flatten(1, 2), unit).unflatten(1, [directions.shape[1], 2])
        return 10.0 * torch.unflatten(cosine, 3, [maps.shape[2], maps.shape[3]])

    def local_direction(self, cells: Tensor, area: Tensor) -> Tensor:
        """Mean direction over the cells that have the class: (N, 2, G, C), (N, 2, G) in pixels -> (N, 2, C)."""
        return mean_direction(cells, area > 1e-3)

    def anchor_rows(self, weight: Tensor, count: int) -> Tensor:
        """Unit anchors for every one of ``count`` passes, each of which drops its own entries in training.

        Args:
            weight: (2, C).
            count: N.

        Returns:
            (N, 2, C).
        """
        return unit_rows(self.dropout(weight.unsqueeze(0).expand(count, -1, -1)))

    def adaptable_parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over what DMTNet tunes to a target at test time: the scales of both mixing stages' last norms."""
        for stage in (self.head.mix_middle, self.head.mix_finest):
            yield stage[2].norm.weight  # type: ignore[union-attr, misc]

    def adaptation_loss(
        self, support_features: dict[str, Tensor], support_mask: Tensor, context: DMTNetContext
    ) -> Tensor:
        """Self-matching fine-tuning (section 3.4) from the support set alone: every support image is its own query.

        Gradients are kept for the adaptable parameters and what comes after them, no further back.

        Args:
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}.
            context: result of ``encode`` on them.

        Returns:
            Cross-entropy of the support's segmentation by itself, a scalar.
        """
        maps = {level: value.flatten(0, 1) for level, value in support_features.items()}
        mask = support_mask.flatten(0, 1)
        with torch.no_grad():
            query, support, _ = self.factors(maps, _shots_as_episodes(context, support_mask.shape[1]))
            fine, middle, coarse = self.head.squeezed(query, support)
            middle = self.head.mix_middle[:2](middle + resize_query(coarse, middle))
            last: Any = self.head.mix_middle[2]
            middle = last.conv(middle)
        mixed = last.activate(middle)
        mixed = self.head.mix_finest(fine + resize_query(mixed, fine))
        logits = self.head.decode(mixed.mean(dim=[3, 4]).permute(0, 3, 1, 2))
        return F.cross_entropy(self.upsample(logits, mask), mask[:, 0].long(), ignore_index=IGNORED)


def _shots_as_episodes(context: DMTNetContext, shots: int) -> DMTNetContext:
    """Contexts of B episodes as those of B * K episodes with one shot: of its own pass, or of the one for all."""
    inverse, directions, support = (
        {
            level: value.repeat_interleave(shots // value.shape[1], dim=1).flatten(0, 1).unsqueeze(1)
            for level, value in tensors.items()
        }
        for tensors in (context.inverse, context.directions, context.support)
    )
    return DMTNetContext(inverse, directions, support, context.text.repeat_interleave(shots, dim=0))
