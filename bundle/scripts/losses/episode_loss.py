# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Cross-entropy over a host's training terms, with 255 ignored, and optionally a Dice loss beside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..labels import IGNORED
from ..networks.hosts.base import TrainingTerm

__all__ = ["EpisodeLoss", "ignoring_cross_entropy", "ignoring_dice"]


class EpisodeLoss(nn.Module):
    """Weighted sum of the losses of a host's training terms.

    Called as ``loss(pred, label)`` by MONAI's trainer, where ``pred`` is the list of training terms, which bring
    their own targets, or plain logits to be compared with ``label``.

    Args:
        dice_weight: weight of a foreground Dice loss in every term; 0 for cross-entropy alone, as published.
        ignore_value: mask value that counts nowhere.
    """

    def __init__(self, dice_weight: float = 0.0, ignore_value: int = IGNORED) -> None:
        super().__init__()
        if dice_weight < 0:
            raise ValueError(f"dice_weight must not be negative, got {dice_weight}")
        self.dice_weight = float(dice_weight)
        self.ignore_value = int(ignore_value)

    def forward(self, pred: Sequence[TrainingTerm] | Tensor, label: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            pred: training terms, or logits (B, 2, H, W).
            label: (B, 1, H, W) in {0, 1, ignore_value}; used for plain logits only.

        Returns:
            A scalar.

        Raises:
            ValueError: for an empty list, or logits and target of different size.
        """
        terms = [TrainingTerm(pred, label, 1.0)] if isinstance(pred, Tensor) else list(pred)
        if not terms:
            raise ValueError("the host gave no training term")
        return torch.stack([term.weight * self._loss(term) for term in terms]).sum()

    def _loss(self, term: TrainingTerm) -> Tensor:
        logits, target = term.logits, term.target
        if target.shape != (logits.shape[0], 1, *logits.shape[2:]) or logits.shape[1] != 2:
            raise ValueError(
                f"logits {tuple(logits.shape)} must be (N, 2, H, W) and target {tuple(target.shape)} (N, 1, H, W)"
            )
        loss = ignoring_cross_entropy(logits, target, self.ignore_value, term.background_weight)
        if self.dice_weight > 0:
            loss = loss + self.dice_weight * ignoring_dice(logits, target, self.ignore_value)
        return loss


def ignoring_cross_entropy(
    logits: Tensor, target: Tensor, ignore_value: int = IGNORED, background_weight: float = 1.0
) -> Tensor:
    """Mean cross-entropy over the pixels that count; zero when none does.

    Args:
        logits: (N, 2, H, W).
        target: (N, 1, H, W) in {0, 1, ignore_value}.
        ignore_value: marks pixels that don't count.
        background_weight: weight of a background pixel in the mean; a foreground pixel has 1.
    """
    classes = target[:, 0].long()
    weight = logits.new_tensor([background_weight, 1.0])
    total = F.cross_entropy(logits, classes, weight=weight, ignore_index=ignore_value, reduction="sum")
    count = background_weight * (classes == 0).sum() + (classes == 1).sum()
    return total / count.clamp_min(min(background_weight, 1.0))


def ignoring_dice(logits: Tensor, target: Tensor, ignore_value: int = IGNORED, smooth: float = 1.0) -> Tensor:
    """One minus the soft foreground Dice per image, averaged, over the pixels that count.

    Args:
        logits: (N, 2, H, W).
        target: (N, 1, H, W) in {0, 1, ignore_value}.
        ignore_value: marks pixels that don't count.
        smooth: added to numerator and denominator, so that two empty masks agree.
    """
    logits = logits.float()  # sums over an image leave the range of half precision
    counts = (target[:, 0] != ignore_value).to(logits.dtype)
    foreground = (target[:, 0] == 1).to(logits.dtype)
    probability = logits.softmax(dim=1)[:, 1] * counts
    overlap = (probability * foreground).sum(dim=(1, 2))
    size = (probability + foreground).sum(dim=(1, 2))
    return (1.0 - (2.0 * overlap + smooth) / (size + smooth)).mean()
