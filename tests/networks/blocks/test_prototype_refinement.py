# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The closed form against automatic differentiation and torch's Adam on the whole map, in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from scripts.networks.blocks.prototype_refinement import prepare_query, refine_prototype, score_positions

STEPS = 7


def literally_refined(maps: Tensor, prototype: Tensor, threshold: Tensor, is_swapped: bool) -> Tensor:
    """One episode: (1, C, h, w), (1, C), (1, 1) -> (1, C)."""
    prototype = prototype.clone().requires_grad_()
    optimizer = torch.optim.Adam([prototype], lr=0.01)
    scale = lambda values: ((values - values.min()) / (values.max() - values.min())).sigmoid()  # noqa: E731
    for _ in range(STEPS):
        score = 10 * F.cosine_similarity(maps, prototype[:, :, None, None]) + threshold / 2
        rebuilt = torch.where((score > 0).unsqueeze(1), prototype[:, :, None, None], maps)
        pair = scale(maps), scale(rebuilt)
        loss = F.binary_cross_entropy(*(pair if is_swapped else pair[::-1]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return prototype.detach()


def make(scale: float = 1.0, batch: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Maps, prototypes and thresholds; a large scale makes the prototype hold the map's extremes."""
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn(batch, 12, 6, 5, generator=generator, dtype=torch.float64)
    prototype = scale * (maps[:, :, 2, 2] + 0.3 * torch.randn(batch, 12, generator=generator, dtype=torch.float64))
    return maps, prototype, torch.linspace(-4, -2, batch, dtype=torch.float64).view(batch, 1)


def refined(maps: Tensor, prototype: Tensor, threshold: Tensor, is_swapped: bool = False) -> Tensor:
    return refine_prototype(prepare_query(maps), prototype, threshold, STEPS, is_swapped=is_swapped)


@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_equals_automatic_differentiation(scale: float, is_swapped: bool) -> None:
    maps, prototype, threshold = make(scale)
    expected = literally_refined(maps, prototype, threshold, is_swapped)
    assert (expected - prototype).abs().min() > 1e-3
    torch.testing.assert_close(refined(maps, prototype, threshold, is_swapped), expected, rtol=0, atol=1e-9)


def test_episodes_of_a_batch_are_apart() -> None:
    maps, prototype, threshold = make(batch=3)
    together = refined(maps, prototype, threshold)
    for index in range(3):
        one = slice(index, index + 1)
        alone = refined(maps[one], prototype[one], threshold[one])
        torch.testing.assert_close(together[one], alone)


def test_swapped_arguments_push_every_component_up() -> None:
    maps, prototype, threshold = make()
    assert (refined(maps, prototype, threshold, is_swapped=True) > prototype).all()
    moves = refined(maps, prototype, threshold) - prototype
    assert (moves > 0).any()
    assert (moves < 0).any()


def test_nothing_is_claimed() -> None:
    maps, prototype, _ = make()
    assert torch.equal(refined(maps, prototype, torch.full((1, 1), -30.0, dtype=torch.float64)), prototype)


def test_everything_is_claimed() -> None:
    """The reconstruction is then constant per channel, and the prototype's extremes are its extremes."""
    maps, prototype, _ = make()
    threshold = torch.full((1, 1), 30.0, dtype=torch.float64)
    expected = literally_refined(maps, prototype, threshold, False)
    torch.testing.assert_close(refined(maps, prototype, threshold), expected, rtol=0, atol=1e-9)
    flat = refined(maps, torch.zeros_like(prototype), threshold)
    assert torch.equal(flat, torch.zeros_like(prototype))


def test_input_is_left_alone() -> None:
    maps, prototype, threshold = make()
    before = prototype.clone()
    refined(maps, prototype.requires_grad_(), threshold)
    assert torch.equal(prototype, before)


def test_score() -> None:
    maps, prototype, threshold = make()
    values = maps.flatten(2)
    score = score_positions(values, values.norm(dim=1), prototype, threshold)
    expected = 10 * F.cosine_similarity(maps, prototype[:, :, None, None]).flatten(1) - 2
    torch.testing.assert_close(score, expected)
    zero = score_positions(values, values.norm(dim=1), torch.zeros_like(prototype), threshold)
    torch.testing.assert_close(zero, torch.full_like(zero, -2.0))
