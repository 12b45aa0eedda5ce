# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from scripts.networks.blocks.self_support import (
    confident_positions,
    local_sums,
    own_prototypes,
    prepare_cells,
    similarity,
)


def test_own_prototypes_by_plain_loops() -> None:
    torch.manual_seed(0)
    features = torch.randn(1, 5, 4, 4)
    logits = 2 * torch.randn(1, 2, 16)
    foreground, background, local = own_prototypes(prepare_cells(features), logits)
    flat, probability = features[0].flatten(1), logits[0].softmax(0)
    is_foreground = [i for i in range(16) if probability[1, i] > 0.7]
    is_background = [i for i in range(16) if probability[0, i] > 0.6]
    assert is_foreground
    assert is_background
    torch.testing.assert_close(foreground[0, :, 0], flat[:, is_foreground].mean(1))
    torch.testing.assert_close(background[0, :, 0], flat[:, is_background].mean(1))
    for i in range(16):
        weights = torch.tensor([2 * F.cosine_similarity(flat[:, i], flat[:, j], dim=0) for j in is_background]).softmax(
            0
        )
        torch.testing.assert_close(local[0, :, i], flat[:, is_background] @ weights)


def test_confident_positions() -> None:
    probability = torch.tensor([[0.7, 0.71, 0.2, 0.9], [0.1, 0.3, 0.2, 0.4]])
    # The threshold is exclusive; where nothing passes, the best ones are taken.
    expected = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
    assert torch.equal(confident_positions(probability, 0.7, fallback=2), expected)


def test_fewer_positions_than_the_fallback() -> None:
    assert torch.equal(confident_positions(torch.zeros(1, 4), 0.7), torch.ones(1, 4))


def test_no_gradient_through_the_choice() -> None:
    probability = torch.rand(1, 20, requires_grad=True)
    assert not confident_positions(probability, 0.5).requires_grad


@pytest.mark.parametrize("is_dense", [False, True])
def test_similarity_by_hand(is_dense: bool) -> None:
    unit = torch.tensor([[[1.0, 0.6], [0.0, 0.8]]])
    foreground = torch.tensor([[[2.0], [0.0]]])
    background = torch.tensor([[[0.0], [5.0]]])
    if is_dense:
        background = background.expand(1, 2, 2)
    expected = torch.tensor([[[0.0, 8.0], [10.0, 6.0]]])
    torch.testing.assert_close(similarity(unit, foreground, background), expected)


def test_a_zero_prototype_has_no_similarity() -> None:
    unit = F.normalize(torch.randn(1, 3, 4), dim=1).requires_grad_()
    zero = torch.zeros(1, 3, 1, requires_grad=True)
    logits = similarity(unit, zero, torch.ones(1, 3, 1))
    assert logits[:, 1].abs().max() == 0
    logits.sum().backward()
    assert torch.isfinite(zero.grad).all()


def test_sums_are_taken_over_from_an_earlier_choice() -> None:
    """Few changes are added and subtracted, many make the sums anew; both give the plain sums and their gradients."""
    torch.manual_seed(0)
    features = torch.randn(2, 5, 4, 4, requires_grad=True)
    cells = prepare_cells(features)
    first = torch.zeros(2, 16)
    first[:, 2:12] = 1
    second = first.clone()
    second[0, 1:3] = torch.tensor([1.0, 0.0])  # one comes, one goes
    second[1] = torch.roll(first[1], 8)  # nearly all change
    again = local_sums(cells, second, local_sums(cells, first))
    expected = local_sums(cells, second)
    assert torch.equal(again.chosen, second)
    torch.testing.assert_close(again.sums, expected.sums)
    affinity = torch.exp(2 * cells.unit.transpose(1, 2) @ cells.unit)
    torch.testing.assert_close(expected.sums[:, -1], (second.unsqueeze(1) @ affinity)[:, 0])
    torch.testing.assert_close(expected.sums[:, :-1], (cells.features * second.unsqueeze(1)) @ affinity)
    weights = torch.randn_like(again.sums)
    gradients = [
        torch.autograd.grad((s * weights).sum(), features, retain_graph=True)[0] for s in (again[1], expected[1])
    ]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


def test_equal_and_orthogonal_features() -> None:
    features = torch.tensor([[[[1.0, 0.0]], [[0.0, 3.0]]]])
    sums = local_sums(prepare_cells(features), torch.ones(1, 2)).sums
    same = math.exp(2)
    torch.testing.assert_close(sums, torch.tensor([[[same, 1.0], [3.0, 3 * same], [same + 1, same + 1]]]))
