# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""How the released code of CD-TG averages its text prototypes, for comparison only."""

import torch
from torch import Tensor

from ..blocks.masks import aligned_weights
from .guidance import SemanticGuidance

__all__ = ["ReleasedSemanticGuidance"]


class ReleasedSemanticGuidance(SemanticGuidance):
    """One text prototype for the whole batch, over all shots, empty ones too (they count as zero)."""

    def mask_weights(self, mask: Tensor, size: list[int], like: Tensor) -> Tensor:
        """Background is one minus foreground, its round-off included."""
        foreground = aligned_weights(mask, size, like)[:, :1]
        return torch.cat([foreground, 1.0 - foreground], dim=1)

    def over_shots(self, prototypes: Tensor, area: Tensor) -> tuple[Tensor, Tensor]:
        """Average over batch and shots together."""
        mean = prototypes.mean(dim=[0, 1]).unsqueeze(0)
        return mean.expand(prototypes.shape[0], -1, -1), torch.ones_like(area[:, 0], dtype=torch.bool)
