# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Prototype mixture models: the means of a region by expectation maximisation, and the match of a query with them.

Yang et al., PMMs (ECCV 2020), section 3.1. A region's sample set is its map times its soft mask, every position
included. With unit means mu_1 ... mu_k, ten times:

    E: r_ij = softmax over j of 20 z_i . mu_j        M: mu_j = sum_i r_ij z_i / (1e-6 + sum_i r_ij), to unit length

Since z_i = m_i x_i, both steps are products with the map itself, and foreground and background go together.
"""

import math
from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor

__all__ = ["draw_starts", "match_means", "mixture_means", "to_unit_length"]


def draw_starts(channels: int, counts: Sequence[int], generator: Optional[torch.Generator] = None) -> Tensor:
    """Draw the means that the expectation maximisations of several stages start from.

    Args:
        channels: C.
        counts: number of means of every stage.
        generator: None takes torch's own.

    Returns:
        (sum of the counts, C), stage by stage, of unit length.
    """
    drawn = [math.sqrt(2.0 / count) * torch.randn(count, channels, generator=generator) for count in counts]
    return to_unit_length(torch.cat(drawn))


def mixture_means(
    features: Tensor,
    weights: Tensor,
    start: Tensor,
    steps: int = 10,
    concentration: float = 20.0,
    is_differentiable: bool = True,
) -> Tensor:
    """Find the means of several regions of a map.

    Args:
        features: (B, C, N) map; the positions of several shots one after another.
        weights: (B, M, N) in [0, 1], a soft mask per region.
        start: (k, C) of unit length.
        steps: iterations.
        concentration: kappa.
        is_differentiable: whether the last iteration passes gradients on to the features; the others never do.

    Returns:
        (B, M, k, C) of unit length, zero for an empty mask.
    """
    count = start.shape[0]
    if count == 1:
        steps = 1  # all responsibilities are one, whatever the mean
    means = start.expand(features.shape[0], weights.shape[1], -1, -1)
    with torch.no_grad():
        for _ in range(steps - 1):
            means = _iterate(features, weights, means, concentration)
        if not is_differentiable:
            means = _iterate(features, weights, means, concentration)
    if is_differentiable:
        means = _iterate(features, weights, means, concentration)
    return means


def match_means(features: Tensor, means: Tensor) -> Tensor:
    """Assign every position softly to all means of all regions; features are not brought to unit length here.

    Args:
        features: (B, C, N).
        means: (B, M, k, C).

    Returns:
        (B, M, k, N), sums to one over regions and means.
    """
    assigned = torch.matmul(means.flatten(1, 2), features).softmax(dim=1)
    return torch.unflatten(assigned, 1, [means.shape[1], means.shape[2]])


def to_unit_length(means: Tensor) -> Tensor:
    """Bring means (..., C) to unit length; zero stays zero."""
    unit: Tensor = means / (1e-6 + torch.linalg.vector_norm(means, dim=-1, keepdim=True))
    return unit


def _iterate(features: Tensor, weights: Tensor, means: Tensor, concentration: float) -> Tensor:
    """One expectation and one maximisation: (B, M, k, C) -> (B, M, k, C)."""
    similarity = torch.matmul(means.flatten(1, 2), features).unflatten(1, [means.shape[1], means.shape[2]])
    region = weights.unsqueeze(2)
    responsibility = (concentration * region * similarity).softmax(dim=2)
    share = responsibility * region / (1e-6 + responsibility.sum(dim=3, keepdim=True))
    found = torch.matmul(share.flatten(1, 2), features.transpose(1, 2))
    return to_unit_length(found.unflatten(1, [means.shape[1], means.shape[2]]))
