# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""RPMMs, residual prototype mixture models (Yang et al., ECCV 2020): three passes with 1, 3 and 6 means per side.

All passes share one head. Each hands the probabilities of its logits to the next, and each has a loss; the last
answers.
"""

import torch
from torch import Tensor

from .base import TrainingTerm
from .pmms import PMMs, PMMsContext

__all__ = ["RPMMs"]


class RPMMs(PMMs):
    """RPMMs on a few levels of a backbone; options as for :class:`PMMs`."""

    name = "rpmms"
    has_norm = False
    match_channels = 2

    @torch.jit.unused
    def mean_counts(self) -> list[int]:
        """Number of means per side, stage by stage."""
        return [1, 3, 6]

    def decode(self, features: dict[str, Tensor], context: PMMsContext) -> Tensor:
        """Segment the query: {level: (B, C, h, w)} -> logits (B, 2, h, w)."""
        return self.stages(features, context)[-1]

    def training_terms(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        query_mask: Tensor,
        context: PMMsContext,
    ) -> list[TrainingTerm]:
        """List one term per stage, each with weight 1.

        Args:
            features: {level: (B, C, h, w)} of the query.
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}.
            query_mask: (B, 1, H, W) in {0, 1, 255}.
            context: result of ``encode``.
        """
        stages = self.stages(features, context)
        return [TrainingTerm(self.upsample(logits, query_mask), query_mask, 1.0) for logits in stages]

    def stages(self, features: dict[str, Tensor], context: PMMsContext) -> list[Tensor]:
        """Logits (B, 2, h, w) of every stage."""
        maps = self.query_map(features, context)
        means = context.means.expand(maps.shape[0], -1, -1, -1)
        query_part = self.head.prototypes.query_part(maps)
        answers: list[Tensor] = []
        begin = 0
        for stage, count in enumerate(self.counts):
            own = means[:, :, begin : begin + count]
            match = self.match(maps, own)
            if stage == 0:
                answers.append(self.head(query_part, own[:, 0], match, None))
            else:
                answers.append(self.head(query_part, own[:, 0], match, answers[-1].softmax(dim=1)))
            begin += count
        return answers
