# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch

from scripts.networks.blocks.masks import aligned_weights, area_weights, sure_cells, with_unknown

LIKE = torch.zeros(1)


def test_area_weights_by_hand() -> None:
    mask = torch.tensor([[1.0, 1.0, 0.0, 255.0], [1.0, 0.0, 0.0, 0.0]]).view(1, 1, 2, 4)
    expected = torch.tensor([[[0.75, 0.0]], [[0.25, 0.75]]])
    torch.testing.assert_close(area_weights(mask, [1, 2], LIKE)[0], expected)


def test_aligned_weights_sample_points() -> None:
    mask = torch.zeros(1, 1, 5, 5)
    mask[0, 0, 0, 0] = 1  # a corner is a sampled point
    mask[0, 0, 1, 1] = 255
    weights = aligned_weights(mask, [2, 2], LIKE)
    assert torch.equal(weights[0, 0], torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert torch.equal(weights[0, 1], torch.tensor([[0.0, 1.0], [1.0, 1.0]]))
    mask[0, 0, 0, 0] = 0
    mask[0, 0, 1, 2] = 1  # between the points: vanishes
    assert aligned_weights(mask, [2, 2], LIKE)[0, 0].sum() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_take_the_features_dtype(dtype: torch.dtype) -> None:
    assert area_weights(torch.ones(1, 1, 4, 4), [2, 2], LIKE.to(dtype)).dtype == dtype


def test_sure_cells_thresholds() -> None:
    """Cells of 2 x 5 pixels, of which 0, 1, 5 and 6 are foreground."""
    mask = torch.zeros(4, 10)
    for cell, count in enumerate((0, 1, 5, 6)):
        mask[cell, :count] = 1
    mask = mask.view(4, 2, 5).permute(1, 0, 2).reshape(1, 1, 2, 20)
    foreground, background = sure_cells(mask, [1, 4])
    assert foreground[0].tolist() == [False, False, False, True]  # more than half
    assert background[0].tolist() == [True, False, False, False]  # less than a tenth


def test_unknown_pixels_are_not_background() -> None:
    mask = torch.full((1, 1, 2, 4), 255.0)
    mask[..., :2] = 1
    foreground, background = sure_cells(mask, [1, 2])
    assert foreground[0].tolist() == [True, False]
    assert not background.any()


def test_each_side_keeps_its_best_cell() -> None:
    mask = torch.zeros(2, 1, 4, 8)
    mask[0, 0, 0, 6] = 1  # a pixel of the second cell
    mask[1] = 1
    mask[1, 0, 0, 6] = 0
    foreground, background = sure_cells(mask, [1, 2])
    assert foreground.tolist() == [[False, True], [True, True]]
    assert background.tolist() == [[True, True], [False, True]]


def test_a_side_without_pixels_has_no_cell() -> None:
    foreground, background = sure_cells(torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)]), [2, 2])
    assert foreground.any(dim=1).tolist() == [False, True]
    assert background.any(dim=1).tolist() == [True, False]


def test_marked_pixels_are_unknown_to_both_sides() -> None:
    mask = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).view(2, 1, 1, 2)
    marked = torch.jit.script(with_unknown)(mask, torch.tensor([True, False])[:, None, None, None])
    assert marked.tolist() == [[[[255, 255]]], [[[1, 0]]]]
    assert area_weights(marked, [1, 1], LIKE).flatten(1).tolist() == [[0, 0], [0.5, 0.5]]
