# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Choice among candidate masks: the one that looks most like the support's object as a region."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .region_descriptors import Region

__all__ = ["MeritWeights", "candidate_merit"]

_WEAK_CONTRAST = 0.05


class MeritWeights(NamedTuple):
    """Weights of the merit's terms."""

    spread_inside: float = 1.5
    spread_outside: float = 1.0
    compactness: float = 1.0
    border: float = 2.0
    separation: float = 1.0
    """on log separation, times the support's own separation"""
    any_separation: float = 0.25
    """on log separation, whatever the support's"""
    contrast: float = 0.75
    near_contrast: float = 0.5
    offset: float = 0.1


def candidate_merit(candidate: Region, support: Region | None, offset: float, weights: MeritWeights) -> float:
    """Merit J of a candidate.

    With d over spread inside, spread outside, compactness and border, eta the separation (share of colour variance that
    the region explains) and c over the two contrasts,

        J = - sum_d w_d |candidate_d - support_d| + (w_e eta_support + w_a) log(eta + 0.001)
            + sum_c w_c cos(candidate_c, support_c) - w_o |offset|

    Args:
        candidate: descriptors of the candidate.
        support: descriptors of the support's object, None where it has none.
        offset: threshold at which the candidate was made, in logits.
        weights: of the terms.
    """
    merit = -weights.offset * abs(offset)
    if support is None:
        return merit
    merit -= weights.spread_inside * abs(candidate.spread_inside - support.spread_inside)
    merit -= weights.spread_outside * abs(candidate.spread_outside - support.spread_outside)
    merit -= weights.compactness * abs(candidate.compactness - support.compactness)
    merit -= weights.border * abs(candidate.border - support.border)
    separation = weights.separation * support.separation + weights.any_separation
    merit += separation * math.log(candidate.separation + 1e-3)
    merit += weights.contrast * _cosine(candidate.contrast, support.contrast)
    merit += weights.near_contrast * _cosine(candidate.near_contrast, support.near_contrast)
    return merit


def _cosine(first: Sequence[float], second: Sequence[float]) -> float:
    """Cosine of two contrasts; weak ones count little."""
    product = sum(a * b for a, b in zip(first, second, strict=True))
    squares = (sum(a * a for a in vector) + _WEAK_CONTRAST for vector in (first, second))
    return product / math.sqrt(math.prod(squares))
