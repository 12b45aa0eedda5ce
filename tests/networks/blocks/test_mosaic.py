# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch

from scripts.networks.blocks.mosaic import mosaic, one_above_another


def all_used(batch: int, shots: int) -> torch.Tensor:
    return torch.ones(batch, shots, dtype=torch.bool)


def test_one_shot_stays_as_it_is() -> None:
    maps = torch.rand(2, 3, 5, 7)
    assert torch.equal(mosaic(one_above_another(maps.unsqueeze(1)), all_used(2, 1)), maps)


def test_tiles_are_shots_at_a_fraction_of_their_resolution() -> None:
    """Four shots of one colour each are four quarters, row by row."""
    shots = torch.arange(1.0, 5.0).reshape(1, 4, 1, 1, 1).expand(2, 4, 3, 6, 8)
    tiles = mosaic(one_above_another(shots), all_used(2, 4))
    assert tiles.shape == (2, 3, 6, 8)
    expected = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).repeat_interleave(3, 0).repeat_interleave(4, 1)
    assert torch.equal(tiles, expected.expand(2, 3, 6, 8))


@pytest.mark.parametrize("shots", [2, 3, 5, 7, 10])
@pytest.mark.parametrize("size", [(3, 3), (13, 13), (9, 14)])
def test_every_shot_counts_and_empty_tiles_are_filled(shots: int, size: tuple[int, int]) -> None:
    maps = torch.rand(1, shots, 2, *size, requires_grad=True)
    tiles = mosaic(one_above_another(maps), all_used(1, shots))
    assert tiles.shape == (1, 2, *size)
    assert (tiles > 0).all()
    tiles.sum().backward()
    assert (maps.grad > 0).all()  # type: ignore[operator]


def test_the_mean_is_kept_where_tiles_divide_the_grid() -> None:
    maps = torch.rand(2, 4, 3, 8, 8)
    torch.testing.assert_close(mosaic(one_above_another(maps), all_used(2, 4)).mean((2, 3)), maps.mean((1, 3, 4)))


def test_unused_shots_have_no_tile() -> None:
    maps = torch.rand(2, 3, 1, 4, 4)
    tiles = mosaic(one_above_another(maps), torch.tensor([[False, True, False], [True, False, True]]))
    assert torch.equal(tiles[0], maps[0, 1])
    assert torch.equal(tiles[1:], mosaic(one_above_another(maps[1:, [0, 2]]), all_used(1, 2)))
