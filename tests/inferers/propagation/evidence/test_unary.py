# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Evidence on a slice: every witness alone, and how they add up."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scripts.inferers.propagation.evidence.label_rules import LabelRules
from scripts.inferers.propagation.evidence.slice_features import SliceStack
from scripts.inferers.propagation.evidence.unary import Exemplar, exemplar_log_ratio, match_exemplar, slice_logit
from scripts.inferers.propagation.parameters import PropagationParameters

OFF = {"use_features": False, "use_intensity": False, "use_distance": False, "use_flow": False}


def parameters(**values: object) -> PropagationParameters:
    return PropagationParameters(**{"levels": ("c4",), "grow": 2, "ring": 3, **values})


def rules_of(values: PropagationParameters) -> LabelRules:
    return LabelRules.default(values.evidence, values.masks, values.ridge)


@pytest.fixture
def stack() -> SliceStack:
    """Three equal slices of 8 x 8 pixels, left half bright; features tell the halves apart, cells are pixels."""
    images = np.full((3, 8, 8), 0.25, np.float32)
    images[:, :, :4] = 0.75
    features = torch.zeros(3, 2, 8, 8)
    features[:, 0, :, :4] = features[:, 1, :, 4:] = 1.0
    return SliceStack(images, {"c4": features}, 8)


@pytest.fixture
def left() -> np.ndarray:
    mask = np.zeros((8, 8), bool)
    mask[:, :4] = True
    return mask


def test_the_ring_is_what_is_known_around_the_mask() -> None:
    mask = np.zeros((5, 5), bool)
    mask[2, 2] = True
    assert Exemplar(0, mask).ring(1).sum() == 8
    known = np.ones((5, 5), bool)
    known[1] = False
    assert Exemplar(0, mask, known).ring(1).sum() == 5


def test_matching_is_one_inside_and_minus_one_outside(stack: SliceStack, left: np.ndarray) -> None:
    cells = np.arange(64)
    score = match_exemplar(stack, 1, Exemplar(0, left), cells, parameters().evidence)
    # Cosine 1 to the own half, 0 to the other: 1 - 0 inside, 0 - 1 outside.
    assert np.allclose(score, np.where(left, 1, -1))


def test_log_ratio_of_the_histograms(stack: SliceStack, left: np.ndarray) -> None:
    values = parameters(histogram_bins=2, histogram_smoothing=1e-3, histogram_floor=0.5)
    ratio = exemplar_log_ratio(stack, 1, Exemplar(0, left), values.evidence)
    # All of the mask is in the bright bin, all of the ring in the dark one: (1 + 0.5) / (0 + 0.5) and its inverse.
    assert np.allclose(ratio, np.where(left, np.log(3), -np.log(3)))


def test_window_and_sum_of_the_witnesses(stack: SliceStack, left: np.ndarray) -> None:
    values = parameters(**OFF)
    previous, annotated = Exemplar(1, left), Exemplar(0, left)
    logit, window = slice_logit(stack, 2, previous, annotated, rules_of(values), values.evidence)
    assert not logit.any()
    assert np.array_equal(window, np.broadcast_to(np.arange(8) < 6, (8, 8)))  # two pixels more

    alone = []
    for switch in ("use_features", "use_intensity", "use_distance"):
        own = parameters(**{**OFF, switch: True})
        alone.append(slice_logit(stack, 2, previous, annotated, rules_of(own), own.evidence)[0])
    match, intensity, distance = alone
    assert np.allclose(match[:, :4], 9)  # weights 6 and 3 of the two exemplars
    assert np.allclose(match[:, 5], -9)
    ratio = exemplar_log_ratio(stack, 2, previous, values.evidence)
    assert np.allclose(intensity, 0.55 * ratio, atol=1e-6)
    assert np.allclose(distance[0], 0.1 * np.array([3.5, 2.5, 1.5, 0.5, -0.5, -1.5, -2.5, -3.5]))
    everything = parameters(use_flow=False)
    logit, _ = slice_logit(stack, 2, previous, annotated, rules_of(everything), everything.evidence)
    assert np.allclose(logit, match + intensity + distance, atol=1e-5)


def test_the_two_exemplars_share_the_weight(stack: SliceStack, left: np.ndarray) -> None:
    values = parameters(**{**OFF, "use_features": True, "use_intensity": True})
    rules = rules_of(values)
    away = Exemplar(0, ~left)  # the annotated slice says the opposite of the neighbour
    logit, _ = slice_logit(stack, 2, Exemplar(1, left), away, rules, values.evidence)
    assert np.allclose(logit[:, :4], 6 - 3, atol=1e-5)  # the two histograms cancel out, half each
    first, _ = slice_logit(stack, 1, Exemplar(0, left), Exemplar(0, left), rules, values.evidence)
    ratio = exemplar_log_ratio(stack, 1, Exemplar(0, left), values.evidence)
    assert np.allclose(first[:, :4], (9 + 0.55 * ratio)[:, :4], atol=1e-5)
