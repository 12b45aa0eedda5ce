# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Form B of LSMS' decoder: within uncertain cells all scales attend to each other."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from scripts.networks.language.lsms.decoder_b import (
    CellAttention,
    CrossScaleDecoder,
    CrossScaleEnhancement,
    word_uncertainty,
)

CHANNELS = [4, 8, 8, 16]


@torch.no_grad()
def test_only_uncertain_cells_are_enhanced() -> None:
    torch.manual_seed(0)
    enhance = CrossScaleEnhancement([4, 8, 8, 16], width=16, num_cells=2, num_heads=4)
    maps = [torch.randn(1, count, 2 * side, 3 * side) for count, side in zip([4, 8, 8, 16], [8, 4, 2, 1], strict=True)]
    uncertainty = torch.tensor([[0.0, 0.9, 0.1, 0.2, 0.8, 0.3]])  # cells (0, 1) and (1, 1)
    with_cells = enhance(maps, uncertainty)
    nn.init.zeros_(enhance.attention.layer_scale)
    without = enhance(maps, uncertainty)
    for index, side in enumerate((8, 4, 2, 1)):
        moved = ((with_cells[index] - without[index]).abs().amax((0, 1)) > 1e-6).float()
        cells = moved.unflatten(1, (3, side)).unflatten(0, (2, side)).amax((1, 3))
        assert torch.equal(cells, torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]))


def test_uncertainty_is_of_use() -> None:
    """The parent's map was 1 everywhere."""
    weights = torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]]])
    found = word_uncertainty(weights)[0]
    assert found[0] < found[1] < found[2]


def test_uncertainty_by_hand() -> None:
    weights = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
    torch.testing.assert_close(word_uncertainty(weights), torch.tensor([[0.0, math.log(2)]]))


def test_scaled_scores() -> None:
    tokens = torch.randn(1, 1, 5, 16)
    torch.manual_seed(0)
    ours, released = CellAttention(16, 4), CellAttention(16, 4, released=True)
    released.load_state_dict(ours.state_dict())
    assert not torch.allclose(ours(tokens), released(tokens))
    released.qkv.weight.data[:16] /= 2  # a head is 4 wide
    released.qkv.bias.data[:16] /= 2
    torch.testing.assert_close(ours(tokens), released(tokens))


@torch.no_grad()
def test_cells_are_for_themselves() -> None:
    torch.manual_seed(0)
    attention, tokens = CellAttention(16, 4), torch.randn(2, 3, 5, 16)
    torch.testing.assert_close(attention(tokens)[1, 2], attention(tokens[1, 2]))


@torch.no_grad()
@pytest.mark.parametrize("grid", [(1, 1), (2, 3)])
def test_maps_are_brought_to_whole_windows(grid: tuple[int, int]) -> None:
    """More cells asked for than there are, and finer maps that aren't a whole multiple of the coarsest."""
    enhance = CrossScaleEnhancement(CHANNELS, width=16, num_cells=32, num_heads=4)
    sizes = [(grid[0] * side - (side > 1), grid[1] * side - (side > 1)) for side in (8, 4, 2, 1)]
    maps = [torch.randn(2, count, *size) for count, size in zip(CHANNELS, sizes, strict=True)]
    found = enhance(maps, torch.rand(2, grid[0] * grid[1]))
    for value, count, side in zip(found, CHANNELS, (8, 4, 2, 1), strict=True):
        assert value.shape == (2, count, grid[0] * side, grid[1] * side)
        assert (value >= 0).all()


def test_form_b_learns_everywhere() -> None:
    torch.manual_seed(0)
    decoder = CrossScaleDecoder(CHANNELS, 64, num_cells=2)
    maps = [torch.randn(1, count, 2 * side, 2 * side) for count, side in zip(CHANNELS, (8, 4, 2, 1), strict=True)]
    logits, features = decoder(maps, torch.rand(1, 4))
    assert logits.shape == (1, 1, 16, 16)
    assert features.shape == (1, decoder.out_width, 16, 16)
    logits.square().mean().backward()
    assert all(value.grad is not None for value in decoder.parameters())
