# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import torch
from torch.nn import functional as F

from scripts.networks.blocks.similarity import cosine_with_prototypes, gather_chosen, mean_of_nearest


def test_cosine_with_prototypes() -> None:
    features, prototypes = torch.randn(2, 5, 3, 4), torch.randn(2, 3, 5)
    cosine = cosine_with_prototypes(features, prototypes)
    for index in range(3):
        expected = F.cosine_similarity(features, prototypes[:, index, :, None, None], dim=1)
        torch.testing.assert_close(cosine[:, index], expected)
    assert cosine_with_prototypes(features, torch.zeros(2, 1, 5)).abs().max() == 0


def test_gather_chosen_packs_in_order() -> None:
    vectors = torch.arange(8.0).view(2, 1, 4)
    chosen = torch.tensor([[False, True, False, True], [False, False, True, False]])
    cells, is_cell = gather_chosen(vectors, chosen)
    assert cells[0, 0].tolist() == [1.0, 3.0]
    assert cells[1, 0, 0] == 6.0
    assert is_cell.tolist() == [[True, True], [True, False]]


def test_gather_chosen_of_nothing() -> None:
    cells, is_cell = gather_chosen(torch.ones(1, 2, 3), torch.zeros(1, 3, dtype=torch.bool))
    assert cells.shape == (1, 2, 1)
    assert not is_cell.any()


def test_mean_of_nearest_uses_what_there_is() -> None:
    query = torch.ones(1, 1, 1, 2)
    cells = torch.tensor([1.0, 5.0, 3.0, 9.0]).view(1, 1, 1, 4)
    for count, expected in ((3, 4.0), (2, 3.0), (1, 1.0), (0, 0.0)):
        is_cell = torch.arange(4).view(1, 1, 4) < count
        nearest = mean_of_nearest(query, cells, is_cell, top=2, budget=1000)
        assert nearest.tolist() == [[[expected] * 2]]
