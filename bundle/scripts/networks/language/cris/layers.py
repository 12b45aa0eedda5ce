# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The layer that CRIS' neck and projector are made of."""

from __future__ import annotations

from torch import nn

__all__ = ["conv_layer"]


def conv_layer(in_channels: int, out_channels: int, kernel_size: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU, at the same size."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
