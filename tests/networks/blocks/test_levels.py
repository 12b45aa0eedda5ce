# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Maps of several levels on one grid, and their mixture."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from scripts.networks.blocks.levels import LevelNeck, at_least_float32, to_finest_grid


def test_half_precision_is_widened_and_others_stay() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        assert at_least_float32(torch.ones(2, dtype=dtype)).dtype == torch.float32
    for dtype in (torch.float32, torch.float64):
        values = torch.ones(2, dtype=dtype)
        assert at_least_float32(values) is values


def test_the_finest_height_and_width_may_be_of_two_maps() -> None:
    wide, high, small = torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[5.0], [9.0]]]]), torch.tensor([[[[7.0]]]])
    found = to_finest_grid([wide, high, small])
    assert [maps[0, 0].tolist() for maps in found] == [[[1, 3], [1, 3]], [[5, 5], [9, 9]], [[7, 7], [7, 7]]]


def test_maps_of_the_finest_grid_are_not_copied() -> None:
    fine, coarse = torch.randn(2, 3, 4, 4), torch.randn(2, 5, 2, 2)
    found = to_finest_grid([coarse, fine])
    assert found[1] is fine
    torch.testing.assert_close(found[0], F.interpolate(coarse, (4, 4), mode="bilinear", align_corners=False))


def test_the_neck_starts_as_the_identity() -> None:
    """Each level has the length of the root of the mean width: 30 channels on 3 levels, a square length of 10."""
    maps = [torch.randn(1, 6, 12, 12), torch.randn(1, 10, 6, 6), torch.randn(1, 14, 3, 3)]
    mixed = LevelNeck([6, 10, 14], 30)(maps)
    assert mixed.shape == (1, 30, 12, 12)
    torch.testing.assert_close(mixed[:, :6], 10**0.5 * F.normalize(maps[0], dim=1))
    torch.testing.assert_close(mixed.square().sum(dim=1), torch.full((1, 12, 12), 30.0))
    alone = LevelNeck([6], 6)(maps[:1])
    torch.testing.assert_close(alone.square().mean(dim=1), torch.ones(1, 12, 12))


@pytest.mark.parametrize("out_channels", [4, 12])
def test_another_width_starts_orthonormal(out_channels: int) -> None:
    torch.manual_seed(0)
    neck = LevelNeck([3, 5], out_channels)
    weight = neck.mix.weight[:, :, 0, 0]
    small = weight @ weight.t() if out_channels < 8 else weight.t() @ weight
    torch.testing.assert_close(small, torch.eye(min(out_channels, 8)))
    assert neck.mix.bias.abs().max() == 0
    assert neck.length == math.sqrt(4)


def test_a_wider_mixture_keeps_the_cosine() -> None:
    """The mean of both levels' cosines, at a place: 1 and 0 give a half."""
    torch.manual_seed(0)
    neck = LevelNeck([2, 2], 6)
    same, left, right = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    first, second = (neck([same.view(1, 2, 1, 1), other.view(1, 2, 1, 1)]) for other in (left, right))
    torch.testing.assert_close(F.cosine_similarity(first, second), torch.full((1, 1, 1), 0.5))


def test_an_empty_place_stays_finite_and_zero() -> None:
    mixed = LevelNeck([2, 3], 5)([torch.zeros(1, 2, 2, 2), torch.zeros(1, 3, 1, 1)])
    assert torch.equal(mixed, torch.zeros(1, 5, 2, 2))


def test_torchscript_and_gradient() -> None:
    neck = LevelNeck([2, 3], 4)
    maps = [torch.randn(1, 2, 4, 4, requires_grad=True), torch.randn(1, 3, 2, 2, requires_grad=True)]
    mixed = neck(maps)
    torch.testing.assert_close(torch.jit.script(neck)(maps), mixed)
    mixed.square().sum().backward()
    assert all(each.grad.abs().sum() > 0 for each in (*maps, neck.mix.weight))
