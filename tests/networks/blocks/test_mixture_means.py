# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scripts.networks.blocks.mixture_means import draw_starts, match_means, mixture_means, to_unit_length


def literal_means(samples: Tensor, start: Tensor, steps: int) -> Tensor:
    """One region of one episode by plain loops: (C, N), (k, C) -> (k, C)."""
    means = start.clone()
    for _ in range(steps):
        responsibility = torch.stack([(20 * means @ sample).softmax(0) for sample in samples.T])  # (N, k)
        for index in range(len(means)):
            share = responsibility[:, index] / (1e-6 + responsibility[:, index].sum())
            mean = sum(weight * sample for weight, sample in zip(share, samples.T, strict=True))
            means[index] = mean / (1e-6 + mean.norm())
    return means


def make(count: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(2, 5, 12, generator=generator)
    weights = torch.rand(2, 2, 12, generator=generator).sub(0.4).clamp(0, 0.5) * 2
    return features, weights, draw_starts(5, [count], generator)


@pytest.mark.parametrize("count", [1, 3, 6])
def test_means_by_plain_loops(count: int) -> None:
    features, weights, start = make(count)
    means = mixture_means(features, weights, start)
    assert means.shape == (2, 2, count, 5)
    for episode in range(2):
        for side in range(2):
            expected = literal_means(features[episode] * weights[episode, side], start, 10)
            torch.testing.assert_close(means[episode, side], expected, rtol=1e-4, atol=1e-5)


def test_only_the_last_iteration_is_differentiable() -> None:
    features, weights, start = make(3)
    features.requires_grad_()
    means = mixture_means(features, weights, start)
    before = mixture_means(features.detach(), weights, start, steps=9)
    last = mixture_means(features, weights[:1], before[0, 0], steps=1)
    gradient, expected = (torch.autograd.grad(each[0, 0].sum(), features)[0][0] for each in (means, last))
    torch.testing.assert_close(gradient, expected)
    assert gradient.abs().max() > 0
    assert not mixture_means(features, weights, start, is_differentiable=False).requires_grad


def test_empty_mask() -> None:
    features, weights, start = make(3)
    weights[:, 0] = 0
    means = mixture_means(features, weights, start)
    assert means[:, 0].abs().max() == 0
    torch.testing.assert_close(means[:, 1].norm(dim=2), torch.ones(2, 3), rtol=1e-4, atol=0)


def test_match() -> None:
    features, _, _ = make(3)
    means = torch.randn(2, 2, 3, 5)
    assigned = match_means(features, means)
    torch.testing.assert_close(assigned.sum(dim=(1, 2)), torch.ones(2, 12))
    expected = (features[1, :, 7] @ means[1].flatten(0, 1).T).softmax(0)
    torch.testing.assert_close(assigned[1, :, :, 7].flatten(), expected)


def test_starts_are_unit_vectors_of_the_generator() -> None:
    drawn = [draw_starts(7, [1, 3], torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert drawn[0].shape == (4, 7)
    torch.testing.assert_close(drawn[0].norm(dim=1), torch.ones(4), rtol=1e-4, atol=0)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.allclose(drawn[0], drawn[2])
    assert to_unit_length(torch.zeros(2, 3)).abs().max() == 0
