# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The merit by its formula, and what it prefers."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.networks.refinement.candidate_choice import MeritWeights, candidate_merit
from scripts.networks.refinement.region_descriptors import Region

SUPPORT = Region(-1.0, -0.2, 3.0, 0.4, 0.1, (-1.0, 0.2, 0.0), (-0.8, 0.1, 0.1))
CANDIDATE = Region(-0.7, -0.3, 3.4, 0.2, 0.0, (-0.5, 0.3, 0.1), (0.1, 0.4, 0.0))


def cosine(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    a, b = np.array(first), np.array(second)
    return float(a @ b / np.sqrt((a @ a + 0.05) * (b @ b + 0.05)))


def test_formula() -> None:
    expected = -1.5 * 0.3 - 0.1 - 0.4 - 2 * 0.1 + (0.4 + 0.25) * np.log(0.201) - 0.1 * 2
    expected += 0.75 * cosine(CANDIDATE.contrast, SUPPORT.contrast)
    expected += 0.5 * cosine(CANDIDATE.near_contrast, SUPPORT.near_contrast)
    assert candidate_merit(CANDIDATE, SUPPORT, -2.0, MeritWeights()) == pytest.approx(expected)


def test_without_a_support_only_the_offset_counts() -> None:
    assert candidate_merit(CANDIDATE, None, 4.0, MeritWeights()) == pytest.approx(-0.4)


@pytest.mark.parametrize(
    "worse",
    [
        {"spread_inside": 0.0},
        {"spread_outside": 0.5},
        {"compactness": 4.0},
        {"separation": 0.1},
        {"border": 0.5},
        {"contrast": (1.0, -0.2, 0.0)},
        {"near_contrast": (0.8, 0.0, 0.0)},
    ],
)
def test_every_term_prefers_the_support_itself(worse: dict[str, float]) -> None:
    best = candidate_merit(SUPPORT, SUPPORT, 0.0, MeritWeights())
    assert candidate_merit(SUPPORT._replace(**worse), SUPPORT, 0.0, MeritWeights()) < best
