# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the released code of Q-Net does where it differs from the paper, for comparison only."""

from typing import Any

from torch import Tensor

from ..base import TrainingTerm
from ..qnet import QNet, QNetContext

__all__ = ["ReleasedQNet"]


class ReleasedQNet(QNet):
    """Q-Net with the released code's defects.

    The refinement's cross-entropy has its arguments swapped, which pushes every component of the prototype upwards
    whatever the image shows; empty masks enter the average over shots as zero prototypes; one episode at a time.

    Args:
        channels: as for :class:`QNet`, like the options.
        options: see there.
    """

    def __init__(self, channels: dict[str, int], **options: Any) -> None:
        super().__init__(channels, **options)
        self.is_swapped = True

    def training_terms(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        query_mask: Tensor,
        context: QNetContext,
    ) -> list[TrainingTerm]:
        """As published, for one episode.

        Raises:
            ValueError: for several episodes, whose thresholds the released code cannot tell apart.
        """
        if query_mask.shape[0] != 1:
            raise ValueError(f"the released Q-Net trains on one episode at a time, got {query_mask.shape[0]}")
        return super().training_terms(features, support_features, support_mask, query_mask, context)

    def over_shots(self, prototypes: Tensor, foreground: Tensor) -> Tensor:
        """Average over all shots."""
        return prototypes.mean(dim=1)
