# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import torch

from scripts.networks.blocks.pooling import masked_averages, mean_over_shots


def test_masked_averages_by_hand() -> None:
    features = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]).view(1, 2, 1, 3)
    weights = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.0]]).view(1, 3, 1, 3)
    expected = torch.tensor([[[2.0, 20.0], [2.0, 20.0], [0.0, 0.0]]])
    torch.testing.assert_close(masked_averages(features, weights, eps=0.0)[:, :2], expected[:, :2])
    torch.testing.assert_close(masked_averages(features, weights)[:, 2], expected[:, 2])


def test_mean_over_shots() -> None:
    prototypes = torch.tensor([[[2.0], [4.0], [9.0]], [[1.0], [1.0], [1.0]]])
    present = torch.tensor([[True, True, False], [False, False, False]])
    assert mean_over_shots(prototypes, present).tolist() == [[3.0], [0.0]]
