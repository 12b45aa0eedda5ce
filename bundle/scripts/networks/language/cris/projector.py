# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CRIS' projector: the sentence becomes a convolution that draws the mask (section 3.4)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .layers import conv_layer

__all__ = ["Projector"]


class Projector(nn.Module):
    """A map at stride 16 and a sentence -> logits at stride 4.

    Args:
        sentence_width: of the sentence.
        channels: of the map that the sentence's convolution reads; the input has twice as many.
        kernel_size: of that convolution.
    """

    def __init__(self, sentence_width: int = 1024, channels: int = 256, kernel_size: int = 3) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.vis = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"),
            conv_layer(channels * 2, channels * 2, 3),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            conv_layer(channels * 2, channels, 3),
            nn.Conv2d(channels, channels, 1),
        )
        self.txt = nn.Linear(sentence_width, channels * kernel_size**2 + 1)

    def forward(self, x: Tensor, sentence: Tensor) -> Tensor:
        """Draw (B, 1, 4h, 4w) logits from (B, 2C, h, w) and sentences (B, D)."""
        x = self.vis(x)
        batch_size, channels, height, width = x.shape
        kernel = self.txt(sentence)
        weight = kernel[:, :-1].reshape(batch_size, channels, self.kernel_size, self.kernel_size)
        # One group per sample: each is convolved with its own sentence's kernel.
        grouped = x.reshape(1, batch_size * channels, height, width)
        logits = F.conv2d(grouped, weight, kernel[:, -1], padding=self.kernel_size // 2, groups=batch_size)
        return logits.transpose(0, 1)
