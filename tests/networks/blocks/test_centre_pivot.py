# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from scripts.networks.blocks.anchor_transform import dense_correlation
from scripts.networks.blocks.centre_pivot import CentrePivotConv4d

CASES = [
    (3, 1, (4, 5, 3, 2)),
    (3, 1, (4, 5, 2, 2)),
    (3, 1, (3, 2, 1, 2)),
    (3, 2, (3, 3, 5, 4)),
    (5, 4, (2, 4, 9, 8)),
    (3, 2, (3, 2, 1, 1)),
]


def literal(conv: CentrePivotConv4d, maps: Tensor) -> Tensor:
    """One output position after another: (B, h, w, h', w', C) -> the same without vectorisation."""
    reach = conv.query_conv.weight.shape[-1] // 2
    height, width, support_height, support_width = maps.shape[1:5]
    rows = range(0, support_height, conv.stride)
    columns = range(0, support_width, conv.stride)
    result = maps.new_zeros(maps.shape[0], height, width, len(rows), len(columns), conv.query_conv.out_channels)
    result += conv.query_conv.bias + conv.support_conv.bias
    for i, j, (a, y), (b, x) in product(range(height), range(width), enumerate(rows), enumerate(columns)):
        for dy, dx in product(range(-reach, reach + 1), repeat=2):
            if 0 <= i + dy < height and 0 <= j + dx < width:
                weight = conv.query_conv.weight[:, :, dy + reach, dx + reach]
                result[:, i, j, a, b] += maps[:, i + dy, j + dx, y, x] @ weight.T
            if 0 <= y + dy < support_height and 0 <= x + dx < support_width:
                weight = conv.support_conv.weight[:, :, dy + reach, dx + reach]
                result[:, i, j, a, b] += maps[:, i, j, y + dy, x + dx] @ weight.T
    return result


@pytest.mark.parametrize(("kernel", "stride", "grid"), CASES)
@pytest.mark.parametrize("batch", [1, 2])
def test_equals_a_loop(kernel: int, stride: int, grid: tuple[int, ...], batch: int) -> None:
    torch.manual_seed(0)
    conv = CentrePivotConv4d(3, 4, kernel, stride)
    maps = torch.randn(batch, *grid, 3)
    with torch.no_grad():
        torch.testing.assert_close(conv(maps), literal(conv, maps), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride", "grid"), CASES)
@pytest.mark.parametrize("chunk", [1, 10**6])
def test_correlate_equals_the_stored_correlation(kernel: int, stride: int, grid: tuple[int, ...], chunk: int) -> None:
    torch.manual_seed(0)
    conv = CentrePivotConv4d(3, 4, kernel, stride)
    conv.chunk = chunk
    query = torch.randn(2, *grid[:2], 3, 2, requires_grad=True)
    support = torch.randn(2, *grid[2:], 3, 2, requires_grad=True)
    stored = conv(dense_correlation(query, support).permute(0, 2, 3, 4, 5, 1))
    found = conv.correlate(query, support)
    torch.testing.assert_close(found, stored, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(conv.correlate(query, support), stored, rtol=1e-4, atol=1e-5)
    inputs = [query, support, *conv.parameters()]
    probe = torch.randn_like(stored)
    expected = torch.autograd.grad((stored * probe).sum(), inputs)
    ours = torch.autograd.grad((found * probe).sum(), inputs)
    for mine, theirs in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


def test_training_keeps_no_correlation() -> None:
    """What autograd keeps for the backward pass is far smaller than the correlation."""
    conv = CentrePivotConv4d(2, 4, 3, 4)
    conv.chunk = 500
    query, support = torch.randn(1, 8, 8, 2, 2, requires_grad=True), torch.randn(1, 16, 16, 2, 2)
    kept: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        conv.correlate(query, support)
    assert max(kept) < 8 * 8 * 16 * 16 * 2 / 8
