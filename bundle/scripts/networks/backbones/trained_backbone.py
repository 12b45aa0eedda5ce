# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A backbone whose later levels are trained with the host, as IFA, PMMs and Q-Net were published."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .frozen_backbone import TimmBackbone
from .intermediates import IntermediateBackbone

__all__ = ["TrainedBackbone"]


class TrainedBackbone(nn.Module):
    """Train what comes after a level; all before it, and the statistics of every batch norm, stay frozen.

    The batch norms are folded into the convolutions, which train in that form. Features change in training, so they
    must not be cached: feed images.

    Args:
        backbone: with the weights to start from.
        frozen_until: last level that stays frozen, such as ``c2``.

    Raises:
        ValueError: for a network that runs as a whole, such as a vision transformer, or a level that the backbone
            lacks; in ``select``, when nothing comes after it.
    """

    def __init__(self, backbone: TimmBackbone, frozen_until: str) -> None:
        super().__init__()
        if isinstance(backbone, IntermediateBackbone):
            raise ValueError(
                f"backbone {backbone.name} runs as a whole, as vision transformers do, and can't be trained in part; "
                "take a CNN"
            )
        if frozen_until not in backbone.channels:
            raise ValueError(
                f"backbone {backbone.name} has no level {frozen_until!r}; it has {list(backbone.channels)}"
            )
        self.backbone = backbone
        self.frozen_until = frozen_until
        self.name = f"{backbone.name} trained after {frozen_until}"
        self.channels = backbone.channels
        self._mark()

    @property
    def levels(self) -> tuple[str, ...]:
        """The selected levels."""
        return self.backbone.levels

    def select(self, levels: Sequence[str]) -> TrainedBackbone:
        """Keep the part of the network that the given levels need; see :meth:`TimmBackbone.select`."""
        self.backbone.select(levels)
        if not self._mark():
            raise ValueError(f"levels {list(levels)} of {self.name} have nothing to train: freeze an earlier level")
        return self

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Compute the selected levels of (B, 3, H, W) RGB in [0, 1]: {level: (B, C, h, w)}."""
        maps: dict[str, Tensor] = self.backbone.body((image - self.backbone.mean) / self.backbone.std)
        return maps

    def train(self, mode: bool = True) -> TrainedBackbone:
        """Stay in evaluation mode: weights are trained, statistics are not."""
        return super().train(False)

    def fingerprint(self) -> str:
        """Identify weights and preprocessing as they are now."""
        return self.backbone.fingerprint()

    def _mark(self) -> int:
        """Let gradients reach what comes after the frozen level; return how many tensors that are."""
        frozen = set(self.backbone.level_state(self.frozen_until))
        trained = 0
        for name, parameter in self.backbone.body.named_parameters():
            parameter.requires_grad_(name not in frozen)
            trained += name not in frozen
        return trained
