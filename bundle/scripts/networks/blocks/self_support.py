# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Self-support matching (SSP, Fan et al., ECCV 2022), the part that IFA repeats.

An image scored with given prototypes yields prototypes of its own: the mean feature of its confident foreground and
background, and for every position a background of its own, the confident background weighted by similarity.
Positions are flattened: P = h * w. Prototypes are (N, C, 1), or (N, C, P) where each position has its own.

The local background takes nearly all the time, two products of C P^2. Only the confident positions' rows of the P x P
affinities are made, and a second draw from the same image adds and subtracts those positions that changed sides.
"""

from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "Cells",
    "Matched",
    "confident_positions",
    "match_self",
    "own_prototypes",
    "prepare_cells",
    "refine",
    "similarity",
]


class Cells(NamedTuple):
    """An image's features with what every pass needs of them, computed once."""

    features: Tensor
    """(N, C, P)."""
    unit: Tensor
    """(N, C, P) of unit length."""


class LocalSums(NamedTuple):
    """Sums over an image's confident background that every position weighs by its affinity exp(2 cos)."""

    chosen: Tensor
    """(N, P) 1 at the confident positions, 0 elsewhere."""
    sums: Tensor
    """(N, C + 1, P) of the features, and of the affinities alone."""


class Matched(NamedTuple):
    """One pass over an image."""

    first: Tensor
    """(N, 2, P) similarity with the prototypes that came in."""
    second: Tensor
    """(N, 2, P) similarity with the image's own blend."""
    foreground: Tensor
    """(N, C, 1) blended foreground prototype."""
    background: Tensor
    """(N, C, P) blended background prototypes."""
    chosen: Tensor
    """(N, P) confident background that the blend was made from."""
    sums: Tensor
    """(N, C + 1, P) its local sums."""


def prepare_cells(features: Tensor) -> Cells:
    """Flatten a map (N, C, h, w) and normalise its positions."""
    flat = features.flatten(2)
    return Cells(flat, F.normalize(flat, dim=1, eps=1e-8))


def similarity(unit: Tensor, foreground: Tensor, background: Tensor) -> Tensor:
    """Ten times the cosines with background and foreground: unit (N, C, P) -> (N, 2, P), background first."""
    cosines = [_cosine(unit, background), _cosine(unit, foreground)]
    return 10.0 * torch.stack(cosines, dim=1)


def match_self(cells: Cells, foreground: Tensor, background: Tensor, anchor: Tensor) -> Matched:
    """Score an image, draw its own prototypes from that, blend, and score it again.

    Args:
        cells: of the image.
        foreground: (N, C, 1) prototype for the first score.
        background: (N, C, 1 or P) prototype for the first score.
        anchor: (N, C, 1) foreground prototype that the image's own is blended with.
    """
    first = similarity(cells.unit, foreground, background)
    own_foreground, own_background, local = draw(cells, first)
    blended_foreground = 0.5 * anchor + 0.5 * own_foreground
    blended_background = 0.3 * own_background + 0.7 * local_mean(local)
    second = similarity(cells.unit, blended_foreground, blended_background)
    return Matched(first, second, blended_foreground, blended_background, local.chosen, local.sums)


def refine(cells: Cells, matched: Matched, foreground: Tensor, background: Tensor) -> Matched:
    """Repeat the self-support step from a finished pass, mixed with all that went before.

    Args:
        cells: of the image.
        matched: its pass.
        foreground: (N, C, 1) prototype that entered the pass.
        background: (N, C, 1 or P) prototype that entered the pass.

    Returns:
        A pass whose ``first`` is the similarity with the refined prototypes and ``second`` its blend with the pass's.
    """
    before = LocalSums(matched.chosen, matched.sums)
    own_foreground, own_background, local = draw(cells, matched.second, before)
    again_foreground = 0.5 * foreground + 0.5 * own_foreground
    again_background = 0.3 * own_background + 0.7 * local_mean(local)
    refined_foreground = 0.5 * foreground + 0.2 * matched.foreground + 0.3 * again_foreground
    refined_background = 0.5 * background + 0.2 * matched.background + 0.3 * again_background
    refined = similarity(cells.unit, refined_foreground, refined_background)
    second = 0.7 * refined + 0.3 * matched.second
    return Matched(refined, second, refined_foreground, refined_background, local.chosen, local.sums)


def own_prototypes(cells: Cells, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Prototypes that an image draws from its own score.

    Args:
        cells: of the image.
        logits: (N, 2, P) similarity, background first.

    Returns:
        Mean feature of the confident foreground (N, C, 1) and background (N, C, 1), and the local background (N, C, P):
        at position i the sum of a_ij F_j over confident background j, with a_ij = softmax_j(2 cos(F_i, F_j)).
    """
    foreground, background, local = draw(cells, logits)
    return foreground, background, local_mean(local)


def draw(cells: Cells, logits: Tensor, before: Optional[LocalSums] = None) -> tuple[Tensor, Tensor, LocalSums]:
    """Draw an image's own prototypes, with the local background as sums.

    Args:
        cells: of the image.
        logits: (N, 2, P) similarity, background first.
        before: sums of an earlier draw from the same image, which save work.

    Returns:
        Mean feature of the confident foreground (N, C, 1) and background (N, C, 1), and the local sums.
    """
    probability = logits.softmax(dim=1)
    foreground = confident_positions(probability[:, 1], 0.7)
    background = confident_positions(probability[:, 0], 0.6)
    masks = torch.stack([foreground, background], dim=2)
    means = torch.matmul(cells.features, masks / masks.sum(dim=1, keepdim=True))
    return means[:, :, :1], means[:, :, 1:], local_sums(cells, background, before)


def local_sums(cells: Cells, chosen: Tensor, before: Optional[LocalSums] = None) -> LocalSums:
    """Sum the features at chosen positions, weighed by their affinity to every position.

    Args:
        cells: of the images.
        chosen: (N, P), 1 at chosen positions, 0 elsewhere.
        before: earlier sums of the same images; where fewer positions changed than are chosen, only these are visited.
    """
    sums: list[Tensor] = []
    for image in range(chosen.shape[0]):
        signs = chosen[image]
        start: Optional[Tensor] = None
        if before is not None:
            change = signs - before.chosen[image]
            if bool(change.abs().sum() < signs.sum()):
                signs = change
                start = before.sums[image]
        visited = signs.nonzero().flatten()
        unit = cells.unit[image]
        affinity = torch.matmul(2.0 * unit.index_select(1, visited).transpose(0, 1), unit).exp_()
        signs_visited = signs.index_select(0, visited).unsqueeze(0)
        values = cells.features[image].index_select(1, visited) * signs_visited
        total = torch.matmul(torch.cat([values, signs_visited]), affinity)
        sums.append(total if start is None else total + start)
    return LocalSums(chosen, torch.stack(sums))


def local_mean(local: LocalSums) -> Tensor:
    """Mean that the sums stand for: (N, C, P)."""
    return local.sums[:, :-1] / local.sums[:, -1:]


def confident_positions(probability: Tensor, threshold: float, fallback: int = 12) -> Tensor:
    """Positions above a threshold, or the best ones where none is.

    Args:
        probability: (N, P).
        threshold: exclusive.
        fallback: number of best positions.

    Returns:
        (N, P), 1 at chosen positions, 0 elsewhere, without gradient.
    """
    probability = probability.detach()
    above = (probability > threshold).to(probability.dtype)
    best = probability.topk(min(fallback, probability.shape[1]), dim=1)[1]
    top = torch.zeros_like(probability).scatter(1, best, 1.0)
    return torch.where(above.sum(dim=1, keepdim=True) > 0, above, top)


def _cosine(unit: Tensor, prototype: Tensor) -> Tensor:
    """Cosine of every position with its prototype: (N, C, P) with (N, C, 1 or P) -> (N, P)."""
    prototype = F.normalize(prototype, dim=1, eps=1e-8)
    if prototype.shape[2] == 1:
        return torch.matmul(prototype.transpose(1, 2), unit).squeeze(1)
    return (unit * prototype).sum(dim=1)
