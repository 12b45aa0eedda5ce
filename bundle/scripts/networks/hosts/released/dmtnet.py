# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""DMTNet as its public code behaves, for comparison with published numbers."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ....labels import IGNORED
from ...blocks.cell_prototypes import count_cells, mean_direction
from ...blocks.levels import at_least_float32
from ..base import TrainingTerm
from ..dmtnet import DMTNet, DMTNetContext
from .patnet import ReleasedAnchorHost

__all__ = ["ReleasedDMTNet"]


class ReleasedDMTNet(ReleasedAnchorHost, DMTNet):
    """DMTNet with the released code's defects.

    Cells without the class count as dissimilar, so that small objects vanish from the coarse mask; masks, unknown
    pixels and votes are as in the released PATNet; the training loss has a term on the coarse maps, against truncated
    masks, which has no gradient. That the released code pairs the query's foreground prototype with its background
    anchor shows in nothing but the order of the anchors in its checkpoints, which ``convert_dmtnet`` exchanges. Its
    pseudo-inverse without a cut-off, whose result depends on the build of LAPACK, is not followed, nor is a fine-tuning
    that carries over from one episode to the next.
    """

    def local_direction(self, cells: Tensor, area: Tensor) -> Tensor:
        """Mean direction over all cells, whether they have the class or not."""
        return mean_direction(cells, torch.ones_like(area, dtype=torch.bool))

    def training_terms(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        query_mask: Tensor,
        context: DMTNetContext,
    ) -> list[TrainingTerm]:
        """Both correlations, unknown pixels as background, and the coarse maps.

        Raises:
            ValueError: for several shots, whose votes have no gradient.
        """
        if support_mask.shape[1] > 1:
            shots = support_mask.shape[1]
            raise ValueError(f"the released DMTNet trains with one shot, got {shots}; set num_shots to 1")
        known = torch.where(query_mask == IGNORED, 0, query_mask)
        terms = super().training_terms(features, support_features, support_mask, known, context)
        weight = 0.5 / len(self.levels)
        for level in self.levels:
            coarse = self.coarse_map(at_least_float32(features[level]), context.directions[level])
            coarse = coarse[:, 0] * self.cell_ratio(context, level)
            target = F.interpolate(known, coarse.shape[-2:], mode="bilinear", align_corners=True).trunc()
            terms.append(TrainingTerm(coarse, target, weight))
        return terms

    def cell_ratio(self, context: DMTNetContext, level: str) -> float:
        """All levels' sums over cells are divided by the first level's number of cells."""
        first, own = (context.support[name].shape[-2:] for name in (self.levels[0], level))
        return count_cells(*own) / count_cells(*first)
