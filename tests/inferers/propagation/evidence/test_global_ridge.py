# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The ridge over the volume."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scripts.inferers.propagation.evidence import global_ridge
from scripts.inferers.propagation.evidence.global_ridge import cell_inputs, fit_ridges, ridge_key
from scripts.inferers.propagation.evidence.matching import cell_coverage
from scripts.inferers.propagation.evidence.slice_features import SliceStack
from scripts.inferers.propagation.memory.memo import Memo
from scripts.inferers.propagation.parameters import RidgeParameters


def test_ridge_equals_the_weighted_normal_equations():
    rng = np.random.default_rng(0)
    parameters = RidgeParameters(ridge_levels=("c4",))
    images = rng.uniform(0, 1, (3, 32, 32)).astype(np.float32)
    stack = SliceStack(images, {"c4": torch.from_numpy(rng.standard_normal((3, 5, 8, 8)).astype(np.float32)).half()}, 8)
    masks = {0: np.zeros((32, 32), bool), 1: np.zeros((32, 32), bool)}
    masks[0][8:24, 4:20] = masks[1][10:26, 4:20] = True
    labels = np.stack([masks.get(index, np.zeros((32, 32), bool)) for index in range(3)]).astype(np.int32)
    fitted = fit_ridges(stack, labels, {1: [1]}, parameters, Memo())[1]
    rows, targets, weights = [], [], []
    for index in range(3):
        inputs = cell_inputs(stack, index, parameters.ridge_levels).double().numpy()
        coverage = cell_coverage(masks.get(index, np.zeros((32, 32), bool)), (8, 8))
        is_bright = inputs[:, 5] > parameters.ridge_darkest
        for side, chosen in ((1, coverage > 0.7), (-1, coverage < 0.1)):
            chosen = chosen & is_bright
            rows.append(inputs[chosen])
            targets.append(np.full(chosen.sum(), side))
            weights.append(np.full(chosen.sum(), np.exp(-abs(index - 1) / parameters.ridge_decay)))
    rows, targets, weights = np.concatenate(rows), np.concatenate(targets), np.concatenate(weights)
    for side in (1, -1):
        weights[targets == side] *= 0.5 / weights[targets == side].sum()
    matrix = rows.T @ (rows * weights[:, None])
    matrix += parameters.ridge_penalty * matrix.diagonal().mean() * np.eye(len(matrix))
    expected = np.linalg.solve(matrix, rows.T @ (weights * targets))
    assert fitted.numpy() == pytest.approx(expected, abs=1e-3)


def test_labels_together_or_alone_with_or_without_memory(monkeypatch):
    """However many sums fit at a time and whatever is remembered, the coefficients are the same bits."""
    rng = np.random.default_rng(1)
    parameters = RidgeParameters(ridge_levels=("c4",))
    images = rng.uniform(0.3, 1, (3, 32, 32)).astype(np.float32)
    stack = SliceStack(images, {"c4": torch.from_numpy(rng.standard_normal((3, 5, 8, 8))).half()}, 8)
    labels = np.zeros((3, 32, 32), np.int32)
    labels[:, 2:14, 2:14], labels[:2, 18:30, 18:30] = 1, 2
    together = fit_ridges(stack, labels, {1: [1], 2: [0], 3: [2]}, parameters, Memo())
    monkeypatch.setattr(global_ridge, "_SUMS", 1)
    alone = fit_ridges(stack, labels, {1: [1], 2: [0], 3: [2]}, parameters, Memo(limit=0))
    assert together[3] is None
    assert alone[3] is None
    for label in (1, 2):
        assert torch.equal(together[label], alone[label])
    assert ridge_key(labels, 1, [1]) != ridge_key(labels, 2, [1])
