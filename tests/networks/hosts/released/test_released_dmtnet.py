# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the released DMTNet does otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from scripts.networks.hosts import DMTNet, ReleasedDMTNet


def test_released_votes_and_masks(channels: Any) -> None:
    """What it shares with the released PATNet."""
    released = ReleasedDMTNet(channels)
    logits = torch.zeros(1, 3, 2, 1, 2)
    logits[:, :, 0] = 1.0
    logits[0, 0, 1, 0, 0] = 2.0
    assert released.merge_shots(logits).argmax(1).tolist() == [[[1, 0]]]
    unknown = torch.full((1, 1, 8, 8), 255.0)
    assert released.mask_weights(unknown, [4, 4], unknown)[:, 1].min() == 1
    assert DMTNet(channels).mask_weights(unknown, [4, 4], unknown).max() == 0


def test_released_trains_with_one_shot(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(1, 2)
    host = ReleasedDMTNet(channels)
    with pytest.raises(ValueError, match="one shot, got 2; set num_shots to 1"):
        host.training_terms(query, support, masks[:, :2], masks[:, 2], host.encode(support, masks[:, :2]))


def test_cells_without_the_class_count(channels: Any) -> None:
    """Four cells of which one has the class: its direction is divided by four."""
    cells = torch.zeros(1, 1, 1, 4, 6)
    cells[..., 0, 2] = 3.0
    area = torch.tensor([2.0, 0, 0, 0]).view(1, 1, 1, 4)
    torch.testing.assert_close(
        DMTNet(channels).local_direction(cells, area)[0, 0, 0], torch.tensor([0.0, 0, 1, 0, 0, 0])
    )
    torch.testing.assert_close(
        ReleasedDMTNet(channels).local_direction(cells, area)[0, 0, 0], torch.tensor([0.0, 0, 0.25, 0, 0, 0])
    )


def test_coarse_terms_have_no_gradient_and_truncated_targets(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(1, 1)
    masks[:, 1, :, :4] = 255
    host = ReleasedDMTNet(channels).eval()
    context = host.encode(support, masks[:, :1])
    terms = host.training_terms(query, support, masks[:, :1], masks[:, 1], context)
    known = torch.where(masks[:, 1] == 255, 0.0, masks[:, 1])
    assert torch.equal(terms[0].target, known)
    for level, term in zip(host.levels, terms[2:], strict=True):
        grid = query[level].shape[-2:]
        assert term.logits.shape == (1, 2, *grid)
        assert not term.logits.requires_grad
        sampled = F.interpolate(known, grid, mode="bilinear", align_corners=True)
        assert torch.equal(term.target, (sampled == 1).float())
        assert term.weight == 0.5 / 3


def test_all_levels_are_divided_by_the_first_levels_cells(make_episode: Any, channels: Any) -> None:
    """Cells of a quarter of a side: 16 on grids of 12 and 6 (steps 3 and 1: 6 / 1 = 36), 9 on a grid of 3."""
    _, support, masks = make_episode(1, 1)
    host = ReleasedDMTNet(channels)
    context = host.encode(support, masks[:, :1])
    assert [host.cell_ratio(context, level) for level in ("c3", "c4", "c5")] == [1.0, 36 / 16, 9 / 16]
