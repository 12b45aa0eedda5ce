# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Smooth dense correspondence between two images from their features alone, and how far it can be trusted.

Starting from a map phi (every query cell's place in the support image), each step takes, for every query cell x, the
mean place of its best matches near phi(x),

    y(x) = softmax_y[(sim(x, y) - prior * |phi(x) - y|^2) / temperature] . y,

and smooths the displacement y - phi, weighted by the best match's similarity, with a Gaussian. The prior grows and the
Gaussian shrinks from step to step, as in multi-resolution registration.

Registration only means something where both images show the same scene (two chests, two abdomens; not two skin
lesions). The share of cells that come back to themselves through the field from query to support and the one from
support to query (forward-backward check) tells the two apart without any label.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .alignment import cell_centres

__all__ = ["consistent_share", "deform", "gaussian_smooth", "invert_affine", "resize_field"]


def deform(
    similarity: Tensor, field: Tensor, grid: int, priors: list[float], sigmas: list[float], temperature: float = 0.03
) -> Tensor:
    """Refine a correspondence field.

    Args:
        similarity: (N, Q, S) of query and support cells, both on a ``grid`` x ``grid`` raster.
        field: (N, Q, 2) place of every query cell in the support image, as of ``cell_centres``.
        grid: cells per side.
        priors: weight of the squared distance from the present place, one per step.
        sigmas: standard deviation of the smoothing in cells, one per step.
        temperature: of the mean over matches.

    Returns:
        (N, Q, 2).
    """
    centres = cell_centres(grid, grid, field)
    squares = centres.square().sum(dim=1)
    batch = field.shape[0]
    for step in range(len(priors)):
        near = torch.matmul(field, centres.transpose(0, 1)) * (2.0 * priors[step]) - priors[step] * squares
        near = near + similarity - priors[step] * field.square().sum(dim=2, keepdim=True)
        best = near.amax(dim=2, keepdim=True)
        weight = ((near - best) / temperature).exp_()
        place = torch.matmul(weight, centres) / weight.sum(dim=2, keepdim=True)
        confidence = best.clamp_min(0.02)
        moved = torch.cat([(place - field) * confidence, confidence], dim=2)
        moved = moved.transpose(1, 2).reshape(batch * 3, 1, grid, grid)
        moved = gaussian_smooth(moved, sigmas[step]).view(batch, 3, grid * grid).transpose(1, 2)
        field = field + moved[:, :, :2] / moved[:, :, 2:]
    return field


def consistent_share(forward: Tensor, backward: Tensor, grid: int, tolerance: float = 0.05) -> Tensor:
    """Share of query cells that come back to themselves.

    Args:
        forward: (N, Q, 2) places of query cells in the support image.
        backward: (N, S, 2) places of support cells in the query image.
        grid: cells per side of both.
        tolerance: largest distance that counts as the same place (image side = 1).

    Returns:
        (N,) in [0, 1].
    """
    maps = backward.transpose(1, 2).reshape(-1, 2, grid, grid)
    places = (2.0 * forward.flip(2)).view(-1, grid, grid, 2)
    returned = F.grid_sample(maps, places, mode="bilinear", padding_mode="border", align_corners=False)
    distance = (returned.flatten(2).transpose(1, 2) - cell_centres(grid, grid, forward)).square().sum(dim=2)
    return (distance < tolerance * tolerance).to(forward.dtype).mean(dim=1)


def invert_affine(affine: Tensor) -> Tensor:
    """Inverse of (N, 2, 3) maps; a map that collapses the plane is inverted as if it shrank it tenfold."""
    a, b, c, d = affine[:, 0, 0], affine[:, 0, 1], affine[:, 1, 0], affine[:, 1, 1]
    determinant = a * d - b * c
    floor = torch.full_like(determinant, 0.01)
    determinant = torch.where(determinant.abs() < 0.01, floor, determinant)
    linear = torch.stack([d, -b, -c, a], dim=1).view(-1, 2, 2) / determinant.view(-1, 1, 1)
    return torch.cat([linear, -torch.matmul(linear, affine[:, :, 2:])], dim=2)


def resize_field(field: Tensor, grid: int, new_grid: int) -> Tensor:
    """Bring a field (N, grid * grid, 2) to another raster (N, new_grid * new_grid, 2).

    Displacements, not places, are interpolated, so that the identity stays the identity up to the border.
    """
    if grid == new_grid:
        return field
    displacement = (field - cell_centres(grid, grid, field)).transpose(1, 2).reshape(-1, 2, grid, grid)
    displacement = F.interpolate(displacement, [new_grid, new_grid], mode="bilinear", align_corners=False)
    return displacement.flatten(2).transpose(1, 2) + cell_centres(new_grid, new_grid, field)


def gaussian_smooth(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian filter of (N, 1, h, w) maps, cut at four standard deviations, edges repeated."""
    radius = int(4.0 * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma).square())
    kernel = kernel / kernel.sum()
    padded = F.pad(maps, [radius, radius, radius, radius], mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
