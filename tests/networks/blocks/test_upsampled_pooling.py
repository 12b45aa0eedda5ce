# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from scripts.networks.blocks.upsampled_pooling import cell_weights, upsampled_average


@pytest.mark.parametrize(("grid", "size"), [((4, 4), (16, 16)), ((5, 3), (17, 10)), ((7, 6), (7, 6)), ((8, 8), (5, 5))])
def test_equals_the_average_of_the_resized_map(grid: tuple[int, int], size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 6, *grid, requires_grad=True)
    mask = (torch.rand(2, 1, *size) > 0.6).float()
    resized = F.interpolate(maps, size, mode="bilinear", align_corners=False)
    expected = (resized * mask).sum((2, 3)) / (mask.sum((2, 3)) + 1e-5)
    average = upsampled_average(maps, mask)
    torch.testing.assert_close(average, expected)
    gradients = [torch.autograd.grad(each.square().sum(), maps, retain_graph=True)[0] for each in (average, expected)]
    torch.testing.assert_close(*gradients)


def test_weights_sum_to_the_mask_and_a_single_pixel_is_kept() -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 13, 13] = 1
    weights = cell_weights(mask, [4, 4])
    assert weights.sum().item() == pytest.approx(1.0)
    # Pixel 13 lies at 13.5 / 8 - 0.5 = 1.1875 cells.
    assert weights[0, 0, 1, 1].item() == pytest.approx(0.8125**2)
    assert weights[0, 0, 1, 2].item() == pytest.approx(0.8125 * 0.1875)


def test_an_empty_mask_gives_zero() -> None:
    assert upsampled_average(torch.ones(1, 3, 4, 4), torch.zeros(1, 1, 8, 8)).abs().max() == 0
