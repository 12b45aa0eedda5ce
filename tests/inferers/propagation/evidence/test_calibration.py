# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Rules read off annotated slices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from scripts.inferers.propagation.evidence.calibration import calibrate, logistic_regression
from scripts.inferers.propagation.evidence.label_rules import LabelRules
from scripts.inferers.propagation.evidence.slice_features import SliceStack
from scripts.inferers.propagation.evidence.unary import Exemplar
from scripts.inferers.propagation.parameters import PropagationParameters

PARAMETERS = PropagationParameters(levels=("c4",), grid_size=16)
DEFAULTS = LabelRules.default(PARAMETERS.evidence, PARAMETERS.masks, PARAMETERS.ridge)


def test_logistic_regression_finds_the_plane():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((4000, 2))
    target = (rng.uniform(size=4000) < 1 / (1 + np.exp(-(2 * inputs[:, 0] - inputs[:, 1] + 0.5)))).astype(float)
    assert logistic_regression(inputs, target, np.ones(4000)) == pytest.approx([2, -1, 0.5], abs=0.2)


@pytest.fixture
def stack() -> SliceStack:
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.standard_normal((1, 8, 16, 16))).half()
    return SliceStack(rng.uniform(0, 1, (1, 64, 64)).astype(np.float32), {"c4": features}, 16)


def test_a_label_with_holes_and_islands_keeps_them(stack: SliceStack) -> None:
    mask = np.zeros((64, 64), bool)
    mask[10:30, 10:30] = True
    mask[14:26, 14:26] = False  # a hole of 144 pixels in 256
    mask[40:45, 40:45] = True  # a twentieth of all
    rules = calibrate(stack, [Exemplar(0, mask)], DEFAULTS, PARAMETERS.calibration, PARAMETERS.evidence)
    assert not rules.fills_holes
    assert rules.island_fraction == 0.03
    assert rules.smallest_island == pytest.approx(3)
    off = replace(PARAMETERS, use_calibration=False).calibration
    assert calibrate(stack, [Exemplar(0, mask)], DEFAULTS, off, PARAMETERS.evidence) == DEFAULTS


def test_a_tiny_label_may_stay_tiny(stack: SliceStack) -> None:
    mask = np.zeros((64, 64), bool)
    mask[10:12, 10:14] = True
    rules = calibrate(stack, [Exemplar(0, mask)], DEFAULTS, PARAMETERS.calibration, PARAMETERS.evidence)
    assert rules.smallest_area == 4
    assert calibrate(stack, [], DEFAULTS, PARAMETERS.calibration, PARAMETERS.evidence) == DEFAULTS
