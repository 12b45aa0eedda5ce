# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The support's own bias."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from scripts.networks.blocks.support_bias import near_background, self_scores, support_bias, top_mean

GRID = 10


def case(seed: int) -> tuple[list[Tensor], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    vectors = [F.normalize(torch.randn(c, GRID * GRID, generator=generator), dim=0) for c in (4, 7)]
    foreground = torch.zeros(GRID, GRID, dtype=torch.bool)
    foreground[3:6, 4:7] = True
    background = ~foreground
    background[3:6, 7] = False
    return vectors, foreground.flatten(), background.flatten()


def test_top_mean() -> None:
    values = torch.tensor([[1.0, 5.0, 2.0, 4.0]])
    assert top_mean(values, 3).item() == pytest.approx(11 / 3)
    assert top_mean(values, 9).item() == 3.0


def test_self_scores_by_loop() -> None:
    vectors, foreground, background = case(0)
    prior, hidden, top = 0.7, 1, 3
    expected = np.zeros(GRID * GRID)
    for x in range(GRID * GRID):
        for sign, chosen in ((1, foreground), (-1, background)):
            for vector in vectors:
                values = []
                for y in chosen.nonzero().flatten().tolist():
                    rows, columns = abs(x // GRID - y // GRID), abs(x % GRID - y % GRID)
                    value = float(vector[:, x] @ vector[:, y]) - prior * (rows**2 + columns**2) / GRID**2
                    values.append(value - 5 * (rows <= hidden and columns <= hidden))
                expected[x] += sign * max(-1.0, np.mean(sorted(values)[-top:]))
    found = self_scores(vectors, foreground, background, GRID, prior, hidden, top)
    assert np.allclose(found.numpy(), expected, atol=1e-5)


def test_bias_is_the_midpoint_of_the_medians() -> None:
    biases = []
    for seed in range(4):
        vectors, foreground, background = case(seed)
        score = self_scores(vectors, foreground, background, GRID, 1.0, 3, 3)
        near = near_background(foreground, background, GRID, 2)
        midpoint = (score[foreground].median() + score[near].median()) / 2
        biases.append(support_bias(vectors, foreground, background, GRID, near=2).item())
        assert biases[-1] == pytest.approx(max(0.0, float(midpoint)))


def test_near_background_that_looks_like_the_object_gives_a_bias() -> None:
    foreground, ring = torch.zeros(2, GRID, GRID, dtype=torch.bool)
    foreground[1:3, 1:3] = foreground[8:, 8:] = True
    ring[:4, :4] = True
    background = ~foreground
    background[5:, 5:] = False  # unknown: only the first blob has background beside it
    biases = []
    for alike in (foreground | ring, foreground):
        vector = torch.stack([alike.float(), 1 - alike.float()]).flatten(1)
        biases.append(support_bias([vector], foreground.flatten(), background.flatten(), GRID, prior=0.1, near=1))
    assert biases[0] > 0.3
    assert biases[1] < 0.1


def test_near_background() -> None:
    _, foreground, background = case(0)
    near = near_background(foreground, background, GRID, 2).view(GRID, GRID)
    assert near[1, 4]
    assert not near[0, 4]
    assert not near[4, 5]
    assert not near[4, 7]  # neither foreground nor background


@pytest.mark.parametrize("fill", [False, True])
def test_full_and_empty_masks_have_no_bias(fill: bool) -> None:
    vectors, _, _ = case(0)
    mask = torch.full((GRID * GRID,), fill)
    assert support_bias(vectors, mask, ~mask, GRID).item() == 0
