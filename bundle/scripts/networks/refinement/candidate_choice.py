# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Choice among candidate masks: the one that looks most like the support's object as a region."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["candidate_merit"]


def candidate_merit(
    candidate: np.ndarray,
    support: np.ndarray | None,
    offset: float,
    weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    penalty: float = 0.1,
) -> float:
    """Merit J of a candidate.

    ``J = - sum_d weight_d |candidate_d - support_d| + weight_4 * eta_support * log(eta + 0.001) - penalty * |offset|``
    with d over spread inside, spread outside, compactness; eta is the separation (share of variance explained).

    Args:
        candidate: (4,) descriptors of the candidate.
        support: (4,) descriptors of the support's mask, None where it has none.
        offset: threshold at which the candidate was made, in logits.
        weights: of the four terms.
        penalty: per unit of offset.
    """
    merit = -penalty * abs(offset)
    if support is not None:
        difference = np.abs(candidate[:3] - support[:3])
        merit -= float(np.asarray(weights[:3]) @ difference)
        merit += float(weights[3] * support[3] * np.log(candidate[3] + 1e-3))
    return merit
