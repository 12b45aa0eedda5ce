# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the released code of IFA does where it differs from the paper, for comparison only."""

import torch
from torch import Tensor

from ...blocks.masks import aligned_weights
from ...blocks.pooling import masked_averages
from ..base import TrainingTerm
from ..ifa import IFA, IFAContext

__all__ = ["ReleasedIFA"]


class ReleasedIFA(IFA):
    """IFA with the released code's defects.

    Empty masks enter the average over shots as zero prototypes; masks that vanish in the resize stay empty; with
    several episodes of several shots each, the support passes use other episodes' prototypes; without refinement, the
    second round's query output is compared with the support's mask.
    """

    def pool(self, maps: Tensor, mask: Tensor) -> Tensor:
        """Pool with sampled masks, vanished or not."""
        flat = maps.flatten(0, 1)
        weights = aligned_weights(mask.flatten(0, 1), [flat.shape[2], flat.shape[3]], flat)
        return torch.unflatten(masked_averages(flat, weights), 0, [mask.shape[0], mask.shape[1]])

    def over_shots(self, prototypes: Tensor, mask: Tensor) -> Tensor:
        """Average over all shots."""
        return prototypes.mean(dim=1)

    def has_any_foreground(self, mask: Tensor) -> Tensor:
        """Never give up."""
        return torch.ones(mask.shape[0], dtype=torch.bool, device=mask.device)

    def to_supports(self, prototypes: Tensor, shots: int) -> Tensor:
        """Repeat episode by episode, then read the rows as if they went shot by shot."""
        batch = prototypes.shape[0]
        rows = prototypes.repeat_interleave(shots, dim=0)
        return torch.unflatten(rows, 0, [shots, batch]).transpose(0, 1).flatten(0, 1)

    def from_supports(self, prototypes: Tensor, shots: int) -> Tensor:
        """Order the rows shot by shot, then average them as if they went episode by episode."""
        rows = prototypes.unflatten(0, [-1, shots]).transpose(0, 1).flatten(0, 1)
        return super().from_supports(rows, shots)

    def training_terms(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        query_mask: Tensor,
        context: IFAContext,
    ) -> list[TrainingTerm]:
        """As published with refinement; without it, the wrong output takes the last source term's place."""
        terms = super().training_terms(features, support_features, support_mask, query_mask, context)
        if self.use_refinement:
            return terms
        outputs = self.outputs(features, support_features, support_mask, query_mask, context, 2)
        terms[3] = self.term(outputs["query_2"], support_mask.flatten(0, 1), terms[3].weight)
        return terms
