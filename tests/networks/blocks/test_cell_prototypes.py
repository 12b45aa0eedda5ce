# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from scripts.networks.blocks.cell_prototypes import cell_prototypes, cell_starts, count_cells, mean_direction


@pytest.mark.parametrize(
    ("length", "starts", "size"),
    [
        (50, [0, 12, 24, 36, 38], 12),
        (25, [0, 6, 12, 18, 19], 6),
        (13, [0, 3, 6, 9, 10], 3),
        (8, [0, 2, 4, 6], 2),
        (7, [0, 1, 2, 3, 4, 5, 6], 1),
        (3, [0, 1, 2], 1),
        (1, [0], 1),
    ],
)
def test_cells_reach_the_border(length: int, starts: list[int], size: int) -> None:
    assert cell_starts(length) == (starts, size)


def test_number_of_cells() -> None:
    assert [count_cells(side, side) for side in (50, 25, 13, 7, 4, 6, 8)] == [25, 25, 25, 49, 16, 36, 16]
    assert count_cells(50, 8) == 20


@pytest.mark.parametrize("size", [(13, 9), (4, 4), (3, 8), (1, 1)])
def test_every_cell_by_itself(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 5, *size)
    weights = torch.rand(2, 3, *size)
    weights[:, 1, : size[0] // 2] = 0
    prototypes, area = cell_prototypes(features, weights)
    (rows, height), (columns, width) = cell_starts(size[0]), cell_starts(size[1])
    assert prototypes.shape == (2, 3, len(rows) * len(columns), 5)
    for index, (row, column) in enumerate((row, column) for row in rows for column in columns):
        part = features[:, :, row : row + height, column : column + width]
        for side in range(3):
            share = weights[:, side : side + 1, row : row + height, column : column + width]
            expected = (part * share).sum((2, 3)) / (share.sum((2, 3)) + 1e-6)
            torch.testing.assert_close(prototypes[:, side, index], expected, rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(area[:, side, index], share.sum((1, 2, 3)))


def test_memory_order_of_the_features_does_not_matter() -> None:
    torch.manual_seed(0)
    features, weights = torch.randn(2, 5, 13, 9), torch.rand(2, 2, 13, 9)
    other = features.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(cell_prototypes(other, weights)[0], cell_prototypes(features, weights)[0])


def test_mean_direction_is_the_mean_cosine() -> None:
    torch.manual_seed(0)
    cells, query = torch.randn(7, 5), torch.randn(5)
    is_used = torch.tensor([True, False, True, True, False, False, True])
    cosines = F.cosine_similarity(cells, query.expand(7, -1), dim=1)
    expected = cosines[is_used].mean() * query.norm()
    torch.testing.assert_close(mean_direction(cells, is_used) @ query, expected)


def test_null_prototypes_and_no_cells() -> None:
    cells = torch.zeros(2, 4, 5)
    cells[:, 0, 1] = 3.0
    is_used = torch.ones(2, 4, dtype=torch.bool)
    is_used[1] = False
    expected = torch.zeros(2, 5)
    expected[0, 1] = 0.25
    torch.testing.assert_close(mean_direction(cells, is_used), expected)
