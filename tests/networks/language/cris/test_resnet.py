# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIP's ResNet: strides, pools instead of strided convolutions, and residuals by the formula."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from scripts.networks.language.cris.resnet import ClipResNet

from ..conftest import randomise


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (64, 96), (32, 32)])
def test_strides_and_widths(size: tuple[int, int]) -> None:
    maps = ClipResNet((1, 2, 1, 1), 8, 16, 4, 64).eval()(torch.rand(2, 3, *size))
    for value, channels, stride in zip(maps, (64, 128, 16), (8, 16, 32), strict=True):
        assert value.shape == (2, channels, size[0] // stride, size[1] // stride)


@torch.no_grad()
def test_a_block_by_the_formula() -> None:
    network = ClipResNet((2, 1, 1, 1), 8, 16, 4, 64)
    randomise(network)
    network.eval()
    for block, stride in ((network.layer1[0], 1), (network.layer1[1], 1), (network.layer2[0], 2)):
        x = torch.randn(2, block.conv1.in_channels, 6, 6)
        update = block.bn1(block.conv1(x)).relu()
        update = block.bn2(block.conv2(update)).relu()
        update = block.bn3(block.conv3(F.avg_pool2d(update, stride)))
        beside = x
        if block is not network.layer1[1]:
            _, convolution, norm = block.downsample
            beside = norm(convolution(F.avg_pool2d(x, stride)))
        torch.testing.assert_close(block(x), (update + beside).relu())


def test_names_and_numbers_are_clips() -> None:
    """RN50 of CLIP has 38 316 896 weights in its image encoder; CRIS adds the residual of the attention pool."""
    with torch.device("meta"):
        network = ClipResNet()
    added = sum(value.numel() for value in network.attnpool.connect.parameters())
    assert added == 2048 * 1024 + 2 * 1024
    assert sum(value.numel() for value in network.parameters()) - added == 38_316_896
    assert "layer2.0.downsample.0.weight" in network.state_dict()
    assert "layer2.1.downsample.0.weight" not in network.state_dict()


def test_gradients_reach_the_stem() -> None:
    network = ClipResNet((1, 1, 1, 1), 8, 16, 4, 64)
    sum(value.square().mean() for value in network(torch.rand(2, 3, 32, 64))).backward()
    assert network.conv1.weight.grad is not None
    assert network.conv1.weight.grad.any()
    assert all(value.grad is not None for value in network.parameters())
