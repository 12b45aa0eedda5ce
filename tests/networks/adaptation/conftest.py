# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A segmenter with a small backbone of random weights, and an episode that it can tell apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from scripts.networks.backbones import TimmBackbone, timm_backbone
from scripts.networks.segmenter import Segmenter

SIDE = 64


@pytest.fixture
def make_segmenter() -> Callable[..., Segmenter]:
    def make(make_host: Callable[[dict[str, int]], Any], adaptation: Any = None) -> Segmenter:
        torch.manual_seed(0)
        backbone: TimmBackbone = timm_backbone("resnet18", pretrained=False)
        return Segmenter(backbone, make_host(backbone.channels), adaptation=adaptation).eval()

    return make


@pytest.fixture
def episode() -> tuple[Tensor, Tensor, Tensor]:
    """Query (1, 3, S, S), supports (1, 2, 3, S, S) and their labels (1, 2, 1, S, S)."""
    generator = torch.Generator().manual_seed(0)
    images = 0.3 * torch.rand(3, 3, SIDE, SIDE, generator=generator)
    labels = torch.zeros(1, 2, 1, SIDE, SIDE)
    for image, (row, column) in zip(images, ((8, 8), (24, 16), (16, 24)), strict=True):
        image[0, row : row + 32, column : column + 32] += 0.6
    labels[0, 0, 0, 8:40, 8:40] = 1
    labels[0, 1, 0, 24:56, 16:48] = 1
    return images[2:], images[None, :2], labels
