# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""PATNet as its public code behaves, for comparison with published numbers."""

import torch
from torch import Tensor

from ....labels import IGNORED
from ...blocks.masks import aligned_weights
from ..anchor_host import AnchorHost
from ..base import TrainingTerm
from ..patnet import PATNet, PATNetContext, mean_divergence

__all__ = ["ReleasedAnchorHost", "ReleasedPATNet"]


class ReleasedAnchorHost(AnchorHost):
    """How the released codes resize masks and merge shots."""

    def mask_weights(self, mask: Tensor, size: list[int], like: Tensor) -> Tensor:
        """Foreground sampled at the grid, and the rest to one."""
        foreground = aligned_weights(mask, size, like)[:, :1]
        return torch.cat([foreground, 1.0 - foreground], dim=1)

    def merge_shots(self, logits: Tensor) -> Tensor:
        """Votes relative to the image's highest; foreground from one half."""
        if logits.shape[1] == 1:
            return logits[:, 0]
        votes = logits.argmax(dim=2).sum(dim=1, keepdim=True)
        most = votes.flatten(1).amax(dim=1).clamp_min(1)[:, None, None, None]
        is_foreground = 2 * votes >= most
        return torch.cat([~is_foreground, is_foreground], dim=1).to(logits.dtype)


class ReleasedPATNet(ReleasedAnchorHost, PATNet):
    """PATNet with the released code's defects.

    Round-off of a resized mask counts as foreground or background; unknown pixels count as background, in the support's
    masks and in the loss; shots vote, and votes are divided by the image's highest, so that one vote can be enough; the
    fine-tuning loss compares raw prototypes of the first stage, which no anchor changes. Its pseudo-inverse without a
    cut-off, whose result depends on the build of LAPACK, is not followed.
    """

    def training_terms(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        query_mask: Tensor,
        context: PATNetContext,
    ) -> list[TrainingTerm]:
        """The query alone, its unknown pixels as background."""
        target = torch.where(query_mask == IGNORED, 0, query_mask)
        return super().training_terms(features, support_features, support_mask, target, context)

    @torch.jit.unused
    def divergence(self, true: dict[str, Tensor], found: dict[str, Tensor], inverse: dict[str, Tensor]) -> Tensor:
        """Divergence of the first stage's raw prototypes, summed over B: it does not depend on the anchors."""
        pairs = [mean_divergence(true[level], found[level]) for level in self.stages[0] if level in true]
        return torch.stack(pairs).sum() * next(iter(true.values())).shape[0]
