# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""LSMS' vision-language contrastive term. The paper gives only that there is one; these are two candidates of ours."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....labels import IGNORED
from .word_attention import Words

__all__ = ["BatchContrast", "ContrastiveTerm", "PixelContrast"]

_TEMPERATURE = 0.07


class ContrastiveTerm(nn.Module):
    """Projections of pixels and expression to one space, and a learned temperature.

    Args:
        channels: of the pixels' features.
        text_dim: of the words.
        width: of the common space.
    """

    def __init__(self, channels: int, text_dim: int, width: int = 128) -> None:
        super().__init__()
        self.pixels = nn.Conv2d(channels, width, 1)
        self.text = nn.Linear(text_dim, width)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(_TEMPERATURE)))

    def forward(self, features: Tensor, words: Words, label: Tensor) -> Tensor:
        """Compute the term.

        Args:
            features: (B, C, h, w).
            words: of the expressions; their mean stands for an expression.
            label: (B, 1, H, W) in {0, 1, 255}.

        Returns:
            A scalar; zero where nothing can be compared.
        """
        mask = words.mask.to(words.states.dtype)[..., None]
        sentence = (words.states * mask).sum(1) / mask.sum(1).clamp_min(1)
        label = F.interpolate(label.float(), size=features.shape[2:], mode="nearest")
        return self.compare(self.pixels(features), self.text(sentence), label, words)

    def compare(self, pixels: Tensor, text: Tensor, label: Tensor, words: Words) -> Tensor:
        """Compare projected pixels (B, D, h, w) and expressions (B, D) under a label (B, 1, h, w)."""
        raise NotImplementedError(f"{type(self).__name__}.compare")


class PixelContrast(ContrastiveTerm):
    """Pixels of the object are near the expression, all others far, as in CRIS: BCE of their cosine / temperature."""

    def compare(self, pixels: Tensor, text: Tensor, label: Tensor, words: Words) -> Tensor:
        """See the class."""
        cosine = torch.einsum("bdhw,bd->bhw", F.normalize(pixels, dim=1), F.normalize(text, dim=1))
        logits = cosine / self.log_temperature.exp()
        counts = (label[:, 0] != IGNORED).to(logits.dtype)
        loss = F.binary_cross_entropy_with_logits(logits, (label[:, 0] == 1).to(logits.dtype), reduction="none")
        return (loss * counts).sum() / counts.sum().clamp_min(1)


class BatchContrast(ContrastiveTerm):
    """An object's mean feature is nearest its own expression in the batch, and the other way round (InfoNCE).

    Samples with the same expression are no negatives of each other; those without foreground are left out.
    """

    def compare(self, pixels: Tensor, text: Tensor, label: Tensor, words: Words) -> Tensor:
        """See the class."""
        inside = (label == 1).to(pixels.dtype)
        area = inside.sum(dim=(1, 2, 3))
        objects = (pixels * inside).sum(dim=(2, 3)) / area[:, None].clamp_min(1)
        similarity = F.normalize(objects, dim=1) @ F.normalize(text, dim=1).T / self.log_temperature.exp()
        used = area > 0
        if int(used.sum()) < 2:
            return 0 * similarity.sum()
        shown = words.states * words.mask[..., None]
        same = (shown[:, None] == shown[None]).flatten(2).all(2)
        own = torch.eye(len(used), dtype=torch.bool, device=used.device)
        hidden = (same & ~own) | ~used[:, None] | ~used[None]
        similarity = similarity.masked_fill(hidden & ~own, -1e4)[used][:, used]
        target = torch.arange(len(similarity), device=similarity.device)
        return (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2
