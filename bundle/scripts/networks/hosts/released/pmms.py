# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the released code of PMMs and RPMMs does where it differs from the paper, for comparison only."""

from typing import Any

import torch
from torch import Tensor

from ....labels import IGNORED
from ...blocks.masks import aligned_weights
from ..base import TrainingTerm
from ..pmms import PMMs, PMMsContext
from ..rpmms import RPMMs

__all__ = ["ReleasedPMMs", "ReleasedRPMMs"]


class ReleasedPMMs(PMMs):
    """PMMs with the released code's defects.

    The means pass no gradient on, so the support is never learned from; objects that vanish in the resize stay empty;
    unknown pixels of the query's mask count as background. (Its start of the expectation maximisation was drawn anew in
    every process; :meth:`draw_starts` without a generator does that.)
    """

    def has_gradient(self) -> bool:
        """No gradient reaches the support."""
        return False

    def region_weights(self, mask: Tensor, like: Tensor) -> Tensor:
        """Sampled masks, vanished or not."""
        return aligned_weights(mask, [like.shape[2], like.shape[3]], like)

    def training_terms(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        query_mask: Tensor,
        context: PMMsContext,
    ) -> list[TrainingTerm]:
        """As published, on a mask in which unknown is background."""
        known = query_mask.masked_fill(query_mask == IGNORED, 0)
        return super().training_terms(features, support_features, support_mask, known, context)


class ReleasedRPMMs(ReleasedPMMs, RPMMs):
    """RPMMs with the defects of :class:`ReleasedPMMs`, and with another answer to several shots.

    Args:
        channels: as for :class:`PMMs`, like the options.
        sums_stages: whether the stages' probabilities are summed and divided by five, as the released code does with
            several shots; with one shot the last stage answers.
        options: as for :class:`PMMs`.
    """

    def __init__(self, channels: dict[str, int], *, sums_stages: bool = False, **options: Any) -> None:
        super().__init__(channels, **options)
        self.sums_stages = bool(sums_stages)

    def decode(self, features: dict[str, Tensor], context: PMMsContext) -> Tensor:
        """Answer with the last stage's logits, or with a sum of probabilities in their place."""
        stages = self.stages(features, context)
        if self.sums_stages:
            return torch.stack(stages).softmax(dim=2).sum(dim=0) / 5.0
        return stages[-1]
