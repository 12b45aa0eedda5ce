# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A small volume with two moving discs, and a segmenter with fixed random filters that counts its passes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ToySegmenter(nn.Module):
    """Random filters at three scales; ``slices`` counts the images that were encoded."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(12, 3, 5, 5, generator=generator), requires_grad=False)
        self.slices = 0

    def features(self, image: Tensor) -> dict[str, Tensor]:
        self.slices += len(image)
        maps = F.conv2d(image, self.weight, stride=4, padding=2)
        maps = torch.cat([maps.abs(), image[:, :1, ::4, ::4]], dim=1)
        return {level: F.adaptive_avg_pool2d(maps, size) for level, size in (("c3", 50), ("c4", 25), ("c5", 13))}

    def fingerprint(self) -> str:
        return f"toy-{float(self.weight.sum())}"


def disc(size: int, row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def toy_volume(slices: int = 9, size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Image (Z, H, W) in arbitrary units and labels: 1 = a bright disc, 5 = a darker one; both move and shrink."""
    rng = np.random.default_rng(0)
    image = 100 + 8 * rng.standard_normal((slices, size, size))
    label = np.zeros((slices, size, size), np.uint8)
    for index in range(slices):
        offset = index - slices // 2
        label[index][disc(size, 22 + 0.7 * offset, 20, 10 - 0.5 * abs(offset))] = 1
        label[index][disc(size, 42, 44 - 0.7 * offset, 9 - 0.5 * abs(offset))] = 5
    image[label == 1] += 120
    image[label == 5] += 60
    return image.astype(np.float32), label


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * (first & second).sum() / max(1, first.sum() + second.sum()))


@pytest.fixture
def make_segmenter() -> Callable[..., ToySegmenter]:
    return ToySegmenter


@pytest.fixture
def make_volume() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    return toy_volume


@pytest.fixture
def dice_of() -> Callable[[np.ndarray, np.ndarray], float]:
    return dice
