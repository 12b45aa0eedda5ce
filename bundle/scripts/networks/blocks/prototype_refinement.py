# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Q-Net's prototype refinement: a prototype moves until it reconstructs the foreground that it finds in the query.

Shen et al., Q-Net (IntelliSys 2023, arXiv 2208.11451). With F the query's map and P the positions that the prototype p
claims, R is F outside P and p inside. Both maps are scaled to [0, 1] by their own extremes, u = sigmoid(scaled F),
v = sigmoid(scaled R), and p follows Adam on the binary cross-entropy between v and its target u.

R is constant per channel inside P, and outside it moves only if p holds one of R's extremes. So the gradient needs sums
over P per channel and no automatic differentiation of the whole map.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["QueryMap", "prepare_query", "refine_prototype", "score_positions"]


class QueryMap(NamedTuple):
    """A query's map and what every step needs of it (N = h * w positions)."""

    values: Tensor
    """(B, C, N)."""
    norm: Tensor
    """(B, N) length of every position's vector."""
    scaled: Tensor
    """(B, C, N) map scaled to [0, 1] by its extremes."""
    lowest: Tensor
    """(B, N) smallest channel of every position."""
    highest: Tensor
    """(B, N) largest channel of every position."""


def prepare_query(maps: Tensor) -> QueryMap:
    """Do once what all steps share.

    Args:
        maps: (B, C, h, w).
    """
    values = maps.flatten(2)
    lowest, highest = values.amin(dim=1), values.amax(dim=1)
    start = lowest.amin(dim=1).view(-1, 1, 1)
    spread = highest.amax(dim=1).view(-1, 1, 1) - start
    return QueryMap(values, torch.linalg.vector_norm(values, dim=1), (values - start) / spread, lowest, highest)


def score_positions(values: Tensor, norm: Tensor, prototype: Tensor, threshold: Tensor) -> Tensor:
    """Logit of the foreground, 10 cos(F, p) + t / 2.

    Args:
        values: (B, C, N).
        norm: (B, N) length of every position's vector.
        prototype: (B, C).
        threshold: (B, 1), t.

    Returns:
        (B, N).
    """
    product = torch.matmul(prototype.unsqueeze(1), values)[:, 0]
    length = (norm * torch.linalg.vector_norm(prototype, dim=1, keepdim=True)).clamp_min(1e-8)
    score: Tensor = 10.0 * product / length + 0.5 * threshold
    return score


def refine_prototype(
    query: QueryMap,
    prototype: Tensor,
    threshold: Tensor,
    steps: int,
    learning_rate: float = 0.01,
    is_swapped: bool = False,
) -> Tensor:
    """Refine a prototype by a few steps of Adam from a fresh state.

    Args:
        query: from :func:`prepare_query`.
        prototype: (B, C).
        threshold: (B, 1), t.
        steps: number of steps.
        learning_rate: of Adam.
        is_swapped: whether the reconstruction is the target and the map the prediction, as in the released code.

    Returns:
        (B, C). No gradient flows.
    """
    query = QueryMap(
        query.values.detach(), query.norm.detach(), query.scaled.detach(), query.lowest.detach(), query.highest.detach()
    )
    prototype, threshold = prototype.detach().clone(), threshold.detach()
    # The released loss is linear in v with slope -logit(u), and logit(u) is the scaled map itself.
    wanted = query.scaled if is_swapped else query.scaled.sigmoid()
    beta_1, beta_2, eps = 0.9, 0.999, 1e-8
    mean, square = torch.zeros_like(prototype), torch.zeros_like(prototype)
    for step in range(1, steps + 1):
        is_claimed = score_positions(query.values, query.norm, prototype, threshold) > 0
        gradient = _gradient(query, wanted, is_claimed, prototype, is_swapped)
        mean = beta_1 * mean + (1 - beta_1) * gradient
        square = beta_2 * square + (1 - beta_2) * gradient.square()
        corrected = (square / (1 - beta_2**step)).sqrt() + eps
        prototype = prototype - learning_rate / (1 - beta_1**step) * mean / corrected
    return prototype


def _gradient(query: QueryMap, wanted: Tensor, is_claimed: Tensor, prototype: Tensor, is_swapped: bool) -> Tensor:
    """Gradient of the mean binary cross-entropy with respect to the prototype: (B, C), zero where P is empty."""
    count = query.values.shape[1] * query.values.shape[2]
    has_claim = is_claimed.any(dim=1, keepdim=True)
    lowest = query.lowest.masked_fill(is_claimed, float("inf")).amin(dim=1, keepdim=True)
    highest = query.highest.masked_fill(is_claimed, float("-inf")).amax(dim=1, keepdim=True)
    own_lowest, own_highest = prototype.amin(dim=1, keepdim=True), prototype.amax(dim=1, keepdim=True)
    start, end = torch.minimum(lowest, own_lowest), torch.maximum(highest, own_highest)
    spread = end - start
    is_flat = spread <= 0
    spread = spread.masked_fill(is_flat, 1.0)

    scaled = (prototype - start) / spread
    claimed = is_claimed.to(prototype.dtype)
    total = torch.matmul(wanted, claimed.unsqueeze(2))[:, :, 0]  # (B, C), sum over P
    slope = _slope(scaled, total, claimed.sum(dim=1, keepdim=True), is_swapped)
    gradient = slope
    is_start = has_claim & (own_lowest <= lowest)
    is_end = has_claim & (own_highest >= highest)
    if bool((is_start | is_end).any()):
        outside = (query.values - start.unsqueeze(2)) / spread.unsqueeze(2)
        one = torch.ones_like(start).unsqueeze(2)
        slope_outside = _slope(outside, wanted, one, is_swapped).masked_fill(is_claimed.unsqueeze(1), 0.0)
        by_start = (slope * (scaled - 1)).sum(dim=1) + (slope_outside * (outside - 1)).sum(dim=[1, 2])
        by_end = -(slope * scaled).sum(dim=1) - (slope_outside * outside).sum(dim=[1, 2])
        gradient = gradient + _to_extreme(by_start, prototype == own_lowest, is_start)
        gradient = gradient + _to_extreme(by_end, prototype == own_highest, is_end)
    return gradient.masked_fill(is_flat | ~has_claim, 0.0) / spread / count


def _slope(scaled: Tensor, wanted: Tensor, number: Tensor, is_swapped: bool) -> Tensor:
    """Derivative, by the scaled reconstruction, of the cross-entropy summed over ``number`` positions of one value."""
    found = scaled.sigmoid()
    if is_swapped:
        return -found * (1 - found) * wanted
    return found * number - wanted


def _to_extreme(slope: Tensor, is_extreme: Tensor, is_used: Tensor) -> Tensor:
    """Give the derivative by an extreme, (B,), to the components that hold it, (B, C), in equal parts."""
    share = is_extreme.to(slope.dtype) / is_extreme.sum(dim=1, keepdim=True)
    return slope.unsqueeze(1) * share.masked_fill(~is_used, 0.0)
