# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Robust affine alignment of a support image with a query image, from mutual nearest neighbours of their features.

Two images of the same kind (two chests, two abdomens) show their objects at similar places; an affine map that is
fitted to feature correspondences makes "similar" sharper. The fit is iteratively reweighted least squares with the
Geman-McClure weight and a scale that shrinks, with a ridge towards the identity so that few or wrong correspondences
move little. Everything has a fixed number of steps, is batched, and compiles with TorchScript.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "align_affine",
    "append_position",
    "apply_affine",
    "cell_centres",
    "fit_affine",
    "identity_affine",
    "mutual_matches",
    "position_entries",
    "resize_cells",
]


def cell_centres(height: int, width: int, like: Tensor) -> Tensor:
    """Centres of a grid's cells, origin at the image's centre, image side = 1.

    Args:
        height: number of rows.
        width: number of columns.
        like: a tensor whose device and dtype the result takes.

    Returns:
        (height * width, 2) as (row, column), each in (-0.5, 0.5), in row-major order.
    """
    rows = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height - 0.5
    columns = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width - 0.5
    grid = torch.stack([rows.unsqueeze(1).expand(height, width), columns.unsqueeze(0).expand(height, width)], dim=-1)
    return grid.reshape(height * width, 2)


def append_position(vectors: Tensor, positions: Tensor, weight: float, is_query: bool) -> Tensor:
    """Add four entries to feature vectors so that inner products become ``similarity - weight * |x - y|^2``.

    One side is made with ``is_query=True``, the other with ``False``; the position prior then costs nothing beyond
    the matrix product.

    Args:
        vectors: (..., C, N) feature vectors in columns.
        positions: (..., N, 2), broadcastable to the vectors' leading axes.
        weight: weight of the squared distance.
        is_query: which of the two sides this is.

    Returns:
        (..., C + 4, N).
    """
    extra = position_entries(positions, weight, is_query)
    shape = list(vectors.shape[:-2]) + [4, vectors.shape[-1]]
    return torch.cat([vectors, extra.expand(shape)], dim=-2)


def position_entries(positions: Tensor, weight: float, is_query: bool) -> Tensor:
    """Vectors whose inner products are ``-weight * |x - y|^2``: (..., N, 2) -> (..., 4, N)."""
    positions = positions.transpose(-2, -1)
    squares = -weight * positions.square().sum(dim=-2, keepdim=True)
    ones = torch.ones_like(squares)
    if is_query:
        return torch.cat([2.0 * weight * positions, squares, ones], dim=-2)
    return torch.cat([positions, ones, squares], dim=-2)


def identity_affine(batch: int, like: Tensor) -> Tensor:
    """(batch, 2, 3) maps that leave every point where it is."""
    return torch.eye(2, 3, device=like.device, dtype=like.dtype).unsqueeze(0).repeat(batch, 1, 1)


def apply_affine(affine: Tensor, points: Tensor) -> Tensor:
    """Move points.

    Args:
        affine: (N, 2, 3).
        points: (N, P, 2) or (P, 2).

    Returns:
        (N, P, 2).
    """
    return torch.matmul(points, affine[:, :, :2].transpose(1, 2)) + affine[:, :, 2].unsqueeze(1)


def mutual_matches(similarity: Tensor) -> tuple[Tensor, Tensor]:
    """Mutual nearest neighbours: pairs of which each is the other's best.

    Args:
        similarity: (N, Q, S).

    Returns:
        (N, Q) index of the best support cell of every query cell, and (N, Q) weight: the pair's similarity (at least
        0.01) where the choice is mutual, 0 elsewhere.
    """
    best, to_support = similarity.max(dim=2)
    to_query = similarity.argmax(dim=1)
    back = to_query.gather(1, to_support)
    own = torch.arange(similarity.shape[1], device=similarity.device).unsqueeze(0)
    return to_support, best.clamp_min(0.01) * (back == own).to(similarity.dtype)


def fit_affine(
    source: Tensor,
    target: Tensor,
    weight: Tensor,
    iterations: int = 10,
    scale: float = 0.1,
    shrink: float = 0.85,
    min_scale: float = 0.04,
    ridge: float = 0.005,
) -> Tensor:
    """Robust affine map from source to target points.

    Each step solves ``A = argmin sum w_i |A x_i - y_i|^2 + ridge n |A - I|^2`` with
    ``w_i = weight_i / (1 + |A x_i - y_i|^2 / scale^2)^2`` (Geman-McClure) from the map before.

    Args:
        source: (N, P, 2) points.
        target: (N, P, 2) points that they should reach.
        weight: (N, P), 0 excludes a pair.
        iterations: steps; 0 gives the identity.
        scale: distance at which a pair counts a quarter, in the first step (image side = 1).
        shrink: factor on ``scale`` per step.
        min_scale: smallest scale.
        ridge: pull towards the identity, times the number n of pairs.

    Returns:
        (N, 2, 3); the identity where no pair has weight.
    """
    batch = source.shape[0]
    affine = identity_affine(batch, source)
    identity = affine
    homogeneous = torch.cat([source, torch.ones_like(source[:, :, :1])], dim=2)
    pairs = (weight > 0).to(source.dtype).sum(dim=1).clamp_min(1.0)
    pull = (ridge * pairs).view(batch, 1, 1) * torch.eye(3, device=source.device, dtype=source.dtype)
    for _ in range(iterations):
        distance = (torch.matmul(homogeneous, affine.transpose(1, 2)) - target).square().sum(dim=2)
        robust = weight / (1.0 + distance / (scale * scale)).square()
        weighted = (homogeneous * robust.unsqueeze(2)).transpose(1, 2)
        normal = torch.matmul(weighted, homogeneous) + pull
        right = torch.matmul(weighted, target) + torch.matmul(pull, identity.transpose(1, 2))
        affine = torch.linalg.solve(normal, right).transpose(1, 2)
        scale = max(min_scale, scale * shrink)
    return affine


def align_affine(query: Tensor, support: Tensor, grid: int, prior: float = 1.0, iterations: int = 10) -> Tensor:
    """Affine map that carries support coordinates to query coordinates.

    Args:
        query: (N, C, grid * grid) vectors, unit length (or a mean of such per level).
        support: (N, C, grid * grid).
        grid: cells per side.
        prior: weight of the squared distance in the search for neighbours.
        iterations: steps of the robust fit.

    Returns:
        (N, 2, 3) for points as of :func:`cell_centres`.
    """
    centres = cell_centres(grid, grid, query)
    similarity = torch.matmul(
        append_position(query, centres, prior, True).transpose(1, 2), append_position(support, centres, prior, False)
    )
    to_support, weight = mutual_matches(similarity)
    source = centres[to_support]
    target = centres.unsqueeze(0).expand(query.shape[0], -1, -1)
    return fit_affine(source, target, weight, iterations)


def resize_cells(features: Tensor, grid: int) -> Tensor:
    """Bring maps to a square grid and put cells in the last axis: (N, C, h, w) -> (N, C, grid * grid)."""
    if features.shape[2] != grid or features.shape[3] != grid:
        features = F.interpolate(features, size=(grid, grid), mode="bilinear", align_corners=False)
    return features.flatten(2)
