# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import torch
from torch.nn import functional as F

from scripts.networks.blocks.alignment import cell_centres
from scripts.networks.blocks.level_similarity import best_matches, mean_similarity, pair_similarities

GRID = 4


def test_cosines_after_the_mean_of_the_pair_is_taken_off() -> None:
    torch.manual_seed(0)
    features = {"c3": torch.randn(2, 3, GRID, GRID), "c4": torch.randn(2, 5, GRID // 2, GRID // 2)}
    centre, vectors = torch.randn(8), torch.randn(8, GRID * GRID)
    fine, coarse = pair_similarities(features, centre, vectors, 1, GRID)
    assert fine.shape == (GRID * GRID, GRID * GRID)
    assert coarse.shape == (GRID * GRID // 4, GRID * GRID)
    query, support = features["c4"][1].flatten(1)[:, 2] - centre[3:], vectors[3:, 7] - centre[3:]
    torch.testing.assert_close(coarse[2, 7], F.cosine_similarity(query, support, dim=0))
    query, support = features["c3"][1].flatten(1)[:, 5] - centre[:3], vectors[:3, 11] - centre[:3]
    torch.testing.assert_close(fine[5, 11], F.cosine_similarity(query, support, dim=0))


def test_mean_over_levels_of_both_grids() -> None:
    fine, coarse = torch.rand(GRID * GRID, GRID * GRID), torch.full((GRID * GRID // 4, GRID * GRID), 0.5)
    torch.testing.assert_close(mean_similarity([fine, coarse], GRID), (fine + 0.5) / 2)
    torch.testing.assert_close(mean_similarity([fine, fine], GRID), fine)
    assert mean_similarity([coarse], GRID).shape == (GRID * GRID, GRID * GRID)


def test_best_matches_of_both_sides() -> None:
    torch.manual_seed(0)
    similarity = torch.rand(GRID * GRID, GRID * GRID)
    places = cell_centres(GRID, GRID, similarity)
    foreground = torch.zeros(GRID * GRID, dtype=torch.bool)
    foreground[:3] = True
    background = ~foreground
    found = best_matches([similarity], places, 2.0, foreground, background, GRID, 2)
    assert found.shape == (1, 2, GRID, GRID)
    distance = (places[:, None] - places[None]).square().sum(dim=2)
    scores = similarity - 2.0 * distance
    for side, chosen in enumerate((foreground, background)):
        expected = scores[:, chosen].topk(2, dim=1)[0].mean(dim=1).view(GRID, GRID)
        torch.testing.assert_close(found[0, side], expected, rtol=1e-4, atol=1e-4)


def test_a_side_without_cells_is_never_chosen() -> None:
    similarity = -torch.ones(GRID * GRID, GRID * GRID)
    nothing = torch.zeros(GRID * GRID, dtype=torch.bool)
    found = best_matches([similarity], cell_centres(GRID, GRID, similarity), 1.0, nothing, ~nothing, GRID, 3)
    assert bool((found[0, 0] <= found[0, 1]).all())
    assert bool((found[0, 0] == -3.0).all())
