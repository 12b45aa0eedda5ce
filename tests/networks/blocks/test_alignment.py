# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Robust affine alignment."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from scripts.networks.blocks.alignment import (
    align_affine,
    append_position,
    apply_affine,
    cell_centres,
    fit_affine,
    identity_affine,
    mutual_matches,
)


def test_cell_centres() -> None:
    centres = cell_centres(2, 4, torch.zeros(()))
    assert centres[0].tolist() == [-0.25, -0.375]
    assert centres[-1].tolist() == [0.25, 0.375]
    assert centres[1].tolist() == [-0.25, -0.125]


def test_append_position_gives_similarity_less_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    query, support = torch.randn(5, 7, generator=generator), torch.randn(5, 4, generator=generator)
    x, y = torch.rand(7, 2, generator=generator), torch.rand(4, 2, generator=generator)
    found = append_position(query, x, 1.5, True).T @ append_position(support, y, 1.5, False)
    assert torch.allclose(found, query.T @ support - 1.5 * torch.cdist(x, y) ** 2, atol=1e-5)


def test_mutual_matches_by_loop() -> None:
    similarity = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    index, weight = mutual_matches(similarity)
    for n in range(2):
        for q in range(6):
            s = int(similarity[n, q].argmax())
            is_mutual = int(similarity[n, :, s].argmax()) == q
            assert index[n, q] == s
            assert weight[n, q] == pytest.approx(max(0.01, float(similarity[n, q, s])) if is_mutual else 0.0)
    assert (weight == 0).any()
    assert (weight > 0).any()


def test_fit_recovers_a_map_in_spite_of_outliers() -> None:
    generator = torch.Generator().manual_seed(0)
    source = torch.rand(1, 200, 2, generator=generator, dtype=torch.float64) - 0.5
    truth = torch.tensor([[[1.05, 0.04, 0.03], [-0.05, 0.95, -0.02]]], dtype=torch.float64)
    target = apply_affine(truth, source)
    target[:, :50] = torch.rand(1, 50, 2, generator=generator, dtype=torch.float64) - 0.5
    found = fit_affine(source, target, torch.ones(1, 200, dtype=torch.float64), ridge=1e-6)
    assert (found - truth).abs().max() < 0.01


def test_fit_is_the_weighted_least_squares_of_its_definition() -> None:
    generator = torch.Generator().manual_seed(1)
    source, target = torch.rand(2, 1, 9, 2, generator=generator, dtype=torch.float64)
    weight = torch.rand(1, 9, generator=generator, dtype=torch.float64)
    x, y = np.c_[source[0].numpy(), np.ones(9)], target[0].numpy()
    affine, scale = np.eye(2, 3), 0.1
    for _ in range(3):
        robust = weight[0].numpy() / (1 + np.square(x @ affine.T - y).sum(1) / scale**2) ** 2
        root = np.sqrt(robust)[:, None]
        rows, pull = root * x, np.sqrt(0.005 * 9) * np.eye(3)
        affine = np.linalg.lstsq(np.r_[rows, pull], np.r_[root * y, pull @ np.eye(2, 3).T], rcond=None)[0].T
        scale = max(0.04, scale * 0.85)
    assert np.allclose(fit_affine(source, target, weight, iterations=3)[0].numpy(), affine)


def test_no_pairs_give_the_identity() -> None:
    points = torch.rand(2, 5, 2)
    assert torch.allclose(fit_affine(points, points + 1, torch.zeros(2, 5)), identity_affine(2, points), atol=1e-5)


def test_shifted_features_are_aligned() -> None:
    grid = 20
    texture = F.avg_pool2d(torch.randn(1, 16, 40, 40, generator=torch.Generator().manual_seed(0)), 3, 1)
    first, second = texture[:, :, 5:25, 5:25], texture[:, :, 7:27, 4:24]  # moved by (-2, 1) cells
    query, support = (F.normalize(x.flatten(2), dim=1) for x in (second, first))
    moved = apply_affine(align_affine(query, support, grid), torch.zeros(1, 1, 2))[0, 0]
    assert moved.tolist() == pytest.approx([-2 / grid, 1 / grid], abs=0.01)


def test_a_batch_is_its_elements() -> None:
    query, support = F.normalize(torch.randn(2, 3, 8, 36, generator=torch.Generator().manual_seed(2)), dim=2)
    together = align_affine(query, support, 6)
    for n in range(3):
        assert torch.allclose(together[n : n + 1], align_affine(query[n : n + 1], support[n : n + 1], 6), atol=1e-4)
