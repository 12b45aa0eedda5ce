# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""PATNet, the Pyramid-Anchor-Transformation network (Lei et al., ECCV 2022).

The maps of many backbone blocks are transformed to where an episode's prototypes meet learned anchors that all episodes
share, correlated pixel by pixel, and read by HSNet's 4-D head. Anchors and head learn; the backbone stays frozen.

Where the released code depends on round-off, or tunes what its loss doesn't reach, this class does what the paper
means; ``released/patnet.py`` does what the code does.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Optional

import torch
from torch import Tensor, nn

from ...labels import IGNORED
from ..blocks.anchor_transform import anchor_coordinates, correlation_factors, inverse_rows
from ..blocks.hypercorrelation_head import HypercorrelationHead
from ..blocks.levels import at_least_float32
from ..blocks.mosaic import mosaic, one_above_another
from ..blocks.pooling import masked_averages
from ..semantic_guidance import SemanticGuidance
from .anchor_host import AnchorHost

__all__ = ["PATNet", "PATNetContext", "mean_divergence"]


class PATNetContext(NamedTuple):
    """What a prompt leaves behind: for P passes and every map, two rows and a map of two channels."""

    inverse: dict[str, Tensor]
    """{level: (B, P, 2, C)} rows that give a pixel's coordinates, background first."""
    support: dict[str, Tensor]
    """{level: (B, P, 2, h, w)} coordinates of the support's foreground, zero elsewhere."""
    text: Tensor
    """(B, D) text embedding; D = 0 without guidance."""


class PATNet(AnchorHost):
    """PATNet on the blocks of a frozen backbone.

    K shots are K independent passes, as published, whose foreground probabilities are averaged; or one, as a mosaic.

    Args:
        channels: channels per level.
        levels: blocks of the stages c3, c4 and c5, such as ``c4.2``; None takes all that ``channels`` names. Published:
            the 4, 6 and 3 blocks of ResNet-50.
        guidance: factory ``guidance(channels) -> SemanticGuidance``; its text prototypes are fused with the support's
            before the transform is made. None for none.
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
        super().__init__("patnet", channels, levels, guidance, shot_merging)
        self.head = HypercorrelationHead([len(stage) for stage in self.stages])

    def encode(
        self, support_features: dict[str, Tensor], support_mask: Tensor, text_embedding: Optional[Tensor] = None
    ) -> PATNetContext:
        """Invert every pass's prototypes and keep the coordinates of its foreground.

        Args:
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}; 255 is neither foreground nor background.
            text_embedding: (B, T, D), needed with guidance.
        """
        batch = support_mask.shape[0]
        passes = self.passes(support_features, support_mask, text_embedding)
        inverse: dict[str, Tensor] = {}
        support: dict[str, Tensor] = {}
        for level in self.levels:
            rows, weights = inverse_rows(passes.prototypes[level].flip(1)), passes.weights[level]
            coordinates = anchor_coordinates(one_above_another(passes.maps[level]), rows)
            foreground = coordinates * one_above_another(weights[:, :, :1])
            inverse[level] = rows.unflatten(0, [batch, -1])
            support[level] = mosaic(foreground, passes.is_used).unflatten(0, [batch, -1])
        return PATNetContext(inverse, support, passes.text)

    def decode(self, features: dict[str, Tensor], context: PATNetContext) -> Tensor:
        """Segment the query: {level: (B, C, h, w)} -> logits (B, 2, 2h, 2w) at twice the finest grid."""
        return self.merge_shots(self.shot_logits(features, context))

    def shot_logits(self, features: dict[str, Tensor], context: PATNetContext) -> Tensor:
        """Segment the query in every pass: {level: (B, C, h, w)} -> (B, P, 2, 2h, 2w)."""
        query, support = self.factors(features, context)
        return self.segment(query, support, context.inverse[self.levels[0]].shape[1])

    def factors(self, features: dict[str, Tensor], context: PATNetContext) -> tuple[list[Tensor], list[Tensor]]:
        """Thin factors of the correlations of all passes.

        Args:
            features: {level: (B, C, h, w)} of the query.
            context: result of ``encode``, of B episodes, or of one for a batch of queries.

        Returns:
            Per stage, finest first, (B * P, h, w, n, 2) of the query and (B * P, h', w', n, 2) of the support.
        """
        query: list[Tensor] = []
        support: list[Tensor] = []
        for index, anchors in enumerate(self.anchors):
            rows = anchors()
            left: list[Tensor] = []
            right: list[Tensor] = []
            for level in self.stages[index]:
                batch = features[level].shape[0]
                text = context.text.expand(batch, -1)
                maps = self.host_maps(at_least_float32(features[level]), text)
                inverse = context.inverse[level].expand(batch, -1, -1, -1)
                coordinates = anchor_coordinates(maps, inverse.flatten(1, 2)).unflatten(1, [-1, 2]).flatten(0, 1)
                supported = context.support[level].expand(batch, -1, -1, -1, -1).flatten(0, 1)
                pair = correlation_factors(coordinates, supported, rows, rows)
                left.append(pair[0])
                right.append(pair[1])
            query.append(torch.stack(left, dim=3))
            support.append(torch.stack(right, dim=3))
        return query, support

    def adaptable_parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over what PATNet tunes to a target at test time: the anchors."""
        return self.anchors.parameters()

    @torch.jit.unused
    def adaptation_loss(
        self, support_features: dict[str, Tensor], support_mask: Tensor, context: PATNetContext
    ) -> Tensor:
        """Task-adaptive fine-tuning (section 4.3) from the support set alone: every support image plays the query.

        It is segmented with the whole prompt; the foreground prototype under that segmentation should be the true one
        once both are transformed.

        Args:
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}.
            context: result of ``encode`` on them.

        Returns:
            A scalar whose gradient reaches the anchors of every stage.
        """
        total = support_mask.new_zeros([], dtype=torch.float32)
        shots = support_mask.shape[1]
        for shot in range(shots):
            features = {level: at_least_float32(support_features[level][:, shot]) for level in self.levels}
            with torch.no_grad():
                predicted = self.upsample(self.decode(features, context), support_mask[:, shot]).argmax(1, keepdim=True)
            known = torch.where(
                support_mask[:, shot] == IGNORED, float(IGNORED), predicted.to(features[self.levels[0]].dtype)
            )
            true = self.foreground_prototypes(features, support_mask[:, shot], context.text)
            found = self.foreground_prototypes(features, known, context.text)
            inverse = {level: rows[:, shot % rows.shape[1]] for level, rows in context.inverse.items()}
            total = total + self.divergence(true, found, inverse)
        return total / shots

    @torch.jit.unused
    def foreground_prototypes(self, features: dict[str, Tensor], mask: Tensor, text: Tensor) -> dict[str, Tensor]:
        """Average the host's maps of features {level: (B, C, h, w)}, text (B, D), under a mask (B, 1, H, W): (B, C)."""
        prototypes: dict[str, Tensor] = {}
        for level in self.levels:
            maps = self.host_maps(at_least_float32(features[level]), text)
            weights = self.mask_weights(mask, [maps.shape[2], maps.shape[3]], maps)
            prototypes[level] = masked_averages(maps, weights[:, :1], eps=1e-6)[:, 0]
        return prototypes

    @torch.jit.unused
    def divergence(self, true: dict[str, Tensor], found: dict[str, Tensor], inverse: dict[str, Tensor]) -> Tensor:
        """Kullback-Leibler divergence of transformed prototypes, as distributions over channels.

        Args:
            true: {level: (B, C)}, the target distribution; its levels are summed over.
            found: {level: (B, C)}.
            inverse: {level: (B, 2, C)} of the episode.

        Returns:
            Sum over the levels, mean over B.
        """
        total = next(iter(true.values())).new_zeros([])
        for index, anchors in enumerate(self.anchors):
            rows = anchors()
            for level in self.stages[index]:
                if level in true:
                    pair = [(inverse[level] @ p[level].unsqueeze(2)).squeeze(2) @ rows for p in (true, found)]
                    total = total + mean_divergence(pair[0], pair[1])
        return total


def mean_divergence(true: Tensor, found: Tensor) -> Tensor:
    """KL(softmax(true) || softmax(found)) over channels, mean over the batch: (B, C) twice -> scalar."""
    target = true.log_softmax(dim=1)
    return (target.exp() * (target - found.log_softmax(dim=1))).sum(dim=1).mean()
