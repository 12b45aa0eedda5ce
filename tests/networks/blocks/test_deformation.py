# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Smooth correspondence and the forward-backward check."""

from __future__ import annotations

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from scripts.networks.blocks.alignment import apply_affine, cell_centres
from scripts.networks.blocks.deformation import (
    consistent_share,
    deform,
    gaussian_smooth,
    invert_affine,
    resize_field,
)

GRID = 24
PRIORS, SIGMAS = [2.0, 4.0, 8.0], [2.0, 1.5, 1.0]


def texture(seed: int, side: int = 64) -> Tensor:
    """Random features that change smoothly: (1, 12, side - 2, side - 2)."""
    return F.avg_pool2d(torch.randn(1, 12, side, side, generator=torch.Generator().manual_seed(seed)), 3, 1)


def unit(maps: Tensor) -> Tensor:
    return F.normalize(maps[:, :, :GRID, :GRID].flatten(2), dim=1)


def fields(query: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
    similarity = unit(query).transpose(1, 2) @ unit(support)
    start = cell_centres(GRID, GRID, similarity).unsqueeze(0)
    forward = deform(similarity, start, GRID, PRIORS, SIGMAS)
    return forward, deform(similarity.transpose(1, 2), start, GRID, PRIORS, SIGMAS)


def test_a_shift_is_found() -> None:
    maps = texture(0)
    forward, backward = fields(maps[:, :, 3:, 1:], maps[:, :, 1:, 2:])  # query cell (i, j) is support cell (i+2, j-1)
    moved = (forward - cell_centres(GRID, GRID, forward)).view(GRID, GRID, 2)[4:-4, 4:-4]
    assert moved[..., 0].median() == pytest.approx(2 / GRID, abs=0.01)
    assert moved[..., 1].median() == pytest.approx(-1 / GRID, abs=0.01)
    assert consistent_share(forward, backward, GRID).item() > 0.8


def test_unlike_images_are_not_consistent() -> None:
    forward, backward = fields(texture(1), texture(2))
    assert consistent_share(forward, backward, GRID).item() < 0.5


def test_identical_images_stay() -> None:
    maps = texture(3)
    forward, backward = fields(maps, maps)
    assert (forward - cell_centres(GRID, GRID, forward)).abs().max() < 0.5 / GRID
    assert consistent_share(forward, backward, GRID).item() == 1.0


def test_a_single_step_by_its_definition() -> None:
    grid, prior, temperature = 4, 3.0, 0.1
    generator = torch.Generator().manual_seed(0)
    similarity = torch.rand(1, 16, 16, generator=generator)
    field = (torch.rand(1, 16, 2, generator=generator) - 0.5) * 0.8
    centres = cell_centres(grid, grid, field)
    displacement, confidence = torch.zeros(16, 2), torch.zeros(16)
    for x in range(16):
        near = torch.stack([similarity[0, x, y] - prior * (field[0, x] - centres[y]).square().sum() for y in range(16)])
        weight = torch.softmax(near / temperature, dim=0)
        displacement[x] = weight @ centres - field[0, x]
        confidence[x] = near.max().clamp_min(0.02)
    smooth = [
        torch.as_tensor(gaussian_filter(values.view(grid, grid).numpy(), 1.0, mode="nearest")).flatten()
        for values in (displacement[:, 0] * confidence, displacement[:, 1] * confidence, confidence)
    ]
    expected = field[0] + torch.stack([smooth[0] / smooth[2], smooth[1] / smooth[2]], dim=1)
    assert torch.allclose(deform(similarity, field, grid, [prior], [1.0], temperature)[0], expected, atol=1e-5)


def test_invert_affine() -> None:
    affine = torch.eye(2, 3).repeat(5, 1, 1) + 0.1 * torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))
    points = torch.rand(5, 9, 2)
    assert torch.allclose(apply_affine(invert_affine(affine), apply_affine(affine, points)), points, atol=1e-5)
    assert torch.isfinite(invert_affine(torch.zeros(1, 2, 3))).all()


@pytest.mark.parametrize(("grid", "new_grid"), [(25, 50), (50, 25), (6, 6), (7, 10)])
def test_the_identity_field_stays_the_identity(grid: int, new_grid: int) -> None:
    identity = cell_centres(grid, grid, torch.zeros(())).unsqueeze(0)
    expected = cell_centres(new_grid, new_grid, torch.zeros(()))
    assert torch.allclose(resize_field(identity, grid, new_grid)[0], expected, atol=1e-6)


def test_gaussian_smooth_is_scipys() -> None:
    maps = torch.rand(2, 1, 11, 14, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for sigma in (0.5, 1.0, 2.0):
        expected = gaussian_filter(maps.numpy(), (0, 0, sigma, sigma), mode="nearest")
        assert torch.allclose(gaussian_smooth(maps, sigma), torch.as_tensor(expected), atol=1e-9)
