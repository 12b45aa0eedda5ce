# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Dice and cross-entropy on logits, for networks that a sentence prompts.

This is what medvlsm and VLSM-Adapter configure. What their code computes is another thing: its loss receives
probabilities of one channel, so that with MONAI 1.1 the cross-entropy is a softmax over one channel, that is zero, and
with MONAI 1.3 the sigmoid is taken twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..labels import IGNORED
from ..networks.hosts.base import TrainingTerm
from ..networks.language.base import AuxiliaryTerm
from .episode_loss import ignoring_cross_entropy, ignoring_dice

__all__ = ["SentenceLoss"]


class SentenceLoss(nn.Module):
    """Weighted sum of Dice and cross-entropy over a network's training terms, plus its auxiliary terms.

    Called as ``loss(pred, label)`` by MONAI's trainer, where ``pred`` is the list of training terms, which bring their
    own targets, or plain logits to be compared with ``label``. On logits whose background is zero the cross-entropy is
    the binary one.

    Args:
        dice_weight: of one minus the Dice of each image, averaged.
        cross_entropy_weight: of the mean cross-entropy.
        background_weight: of a background pixel in that mean; a foreground pixel has 1.
        smooth: added to the Dice's numerator and denominator.
        ignore_value: mask value that counts nowhere.
    """

    def __init__(
        self,
        dice_weight: float = 1.0,
        cross_entropy_weight: float = 0.2,
        background_weight: float = 1.0,
        smooth: float = 1e-5,
        ignore_value: int = IGNORED,
    ) -> None:
        super().__init__()
        if min(dice_weight, cross_entropy_weight) < 0 or dice_weight + cross_entropy_weight == 0:
            raise ValueError(
                f"weights of the loss must not be negative, and not both zero, got dice_weight {dice_weight} and "
                f"cross_entropy_weight {cross_entropy_weight}"
            )
        self.dice_weight = dice_weight
        self.cross_entropy_weight = cross_entropy_weight
        self.background_weight = background_weight
        self.smooth = smooth
        self.ignore_value = ignore_value

    def forward(self, pred: Sequence[TrainingTerm | AuxiliaryTerm] | Tensor, label: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            pred: terms, or logits (B, 2, H, W).
            label: (B, 1, H, W) in {0, 1, ignore_value}; used for plain logits only.

        Returns:
            A scalar.

        Raises:
            ValueError: for an empty list, or logits and target of different size.
        """
        terms = [TrainingTerm(pred, label, 1.0)] if isinstance(pred, Tensor) else list(pred)
        if not terms:
            raise ValueError("the network gave no training term")
        return torch.stack([term.weight * self._value(term) for term in terms]).sum()

    def _value(self, term: TrainingTerm | AuxiliaryTerm) -> Tensor:
        if isinstance(term, AuxiliaryTerm):
            return term.value
        logits, target = term.logits, term.target
        if target.shape != (logits.shape[0], 1, *logits.shape[2:]) or logits.shape[1] != 2:
            raise ValueError(
                f"logits {tuple(logits.shape)} must be (N, 2, H, W) and target {tuple(target.shape)} (N, 1, H, W)"
            )
        dice = ignoring_dice(logits, target, self.ignore_value, self.smooth)
        cross_entropy = ignoring_cross_entropy(
            logits, target, self.ignore_value, self.background_weight * term.background_weight
        )
        return self.dice_weight * dice + self.cross_entropy_weight * cross_entropy
