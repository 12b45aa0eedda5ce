# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Slices between key slices: the mean of two neighbours by inverse distance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scripts.inferers.propagation.chains.between import fill_between
from scripts.inferers.propagation.chains.logit_summary import LogitSummary
from scripts.inferers.propagation.evidence.annotations import SliceAnnotation
from scripts.inferers.propagation.evidence.label_rules import LabelRules
from scripts.inferers.propagation.evidence.slice_features import SliceStack
from scripts.inferers.propagation.parameters import PropagationParameters

PARAMETERS = PropagationParameters(
    use_features=False, use_intensity=False, use_flow=False, distance_weight=1.0, smallest_island=1, smallest_area=4
)
RULES = LabelRules.default(PARAMETERS.evidence, PARAMETERS.masks, PARAMETERS.ridge)


def columns(width: int) -> np.ndarray:
    """(20, 40): the first columns are label 1."""
    return np.broadcast_to(np.arange(40) < width, (20, 40)).astype(np.int32)


def fill(lower: int, upper: int, **options: float) -> tuple[np.ndarray, LogitSummary, list[int]]:
    """Label three slices between two whose label 1 is so many columns wide; only the distance speaks."""
    stack = SliceStack(np.zeros((5, 20, 40), np.float32), {"c4": torch.zeros(5, 1, 1, 1)}, 4)
    summary = LogitSummary((5, 20, 40), keep_highest=True)
    annotations = {0: SliceAnnotation(columns(8), np.ones((20, 40), bool))}
    done: list[int] = []
    labels = fill_between(
        stack,
        np.stack([columns(lower), columns(upper)]),
        [0, 4],
        annotations,
        {1: RULES},
        PARAMETERS.evidence,
        **{"bias": 0.0, "clip": 50.0, **options},
        summary=summary,
        progress=done.append,
    )
    return labels, summary, done


def test_an_edge_moves_from_one_neighbour_to_the_other() -> None:
    labels, summary, done = fill(8, 16)
    # Distances d - 8 and d - 16 to the two edges, weighted by the inverse distance: an edge at 8 + 8 * z / 4.
    assert [int(label[0].sum()) for label in labels] == [8, 10, 12, 14, 16]
    assert np.array_equal(labels[2], columns(12))
    assert done == [1, 2, 3]
    assert summary.highest is not None
    assert summary.highest[1, 0, 0] == pytest.approx(0.75 * 7.5 + 0.25 * 15, abs=0.2)  # clipped at 15 pixels
    assert np.isinf(summary.highest[[0, 4]]).all()
    assert summary.strongest[2, 1] == summary.highest[2].max()


def test_the_bias_moves_the_edge() -> None:
    labels, _, _ = fill(8, 16, bias=1.0)
    assert [int(label[0].sum()) for label in labels] == [8, 11, 13, 15, 16]


def test_one_neighbour_alone_and_a_lost_label() -> None:
    labels, summary, _ = fill(8, 0)
    assert [int(label[0].sum()) for label in labels] == [8, 8, 8, 8, 0]
    labels, summary, _ = fill(0, 0)
    assert not labels.any()
    assert summary.strongest == {}
