# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Local prototypes of a support map, cell by cell, as DMTNet compares a query with (Chen et al., IJCAI 2024).

A map is cut in cells of a quarter of its height and width. The query's similarity with a class is its mean cosine with
the class's cells; since a cosine is a product of unit vectors, the mean over cells is one product with the mean of the
unit prototypes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["cell_prototypes", "cell_starts", "count_cells", "mean_direction"]


def cell_starts(length: int) -> tuple[list[int], int]:
    """Cut an axis in cells of a quarter of its length; the last one is aligned to the border and may overlap.

    Args:
        length: of the axis, at least 1.

    Returns:
        Where the cells start, and their size.
    """
    size = max(1, length // 4)
    starts: list[int] = []
    for start in range(0, length - size + 1, size):
        starts.append(start)
    if starts[-1] + size < length:
        starts.append(length - size)
    return starts, size


def count_cells(height: int, width: int) -> int:
    """Cells of a map."""
    return len(cell_starts(height)[0]) * len(cell_starts(width)[0])


def cell_prototypes(features: Tensor, weights: Tensor, eps: float = 1e-6) -> tuple[Tensor, Tensor]:
    """Average the features of every cell under several masks.

    Args:
        features: (N, C, h, w).
        weights: (N, M, h, w), M non-negative masks.
        eps: added to the sum of a mask over a cell; the prototype of a cell without any is zero.

    Returns:
        (N, M, G, C) prototypes of G cells, row by row, and the area of every mask in them (N, M, G), in pixels.
    """
    rows = _members(features.shape[2], features)
    columns = _members(features.shape[3], features)
    # Columns first, row by row of pixels: a few thin products instead of one with a mask per cell over all pixels.
    masks = (weights.unsqueeze(2) * columns.unsqueeze(1)).flatten(1, 2)  # (N, M * G_x, h, w)
    strips = torch.matmul(masks.transpose(1, 2), features.permute(0, 2, 3, 1))  # (N, h, M * G_x, C)
    sums = torch.matmul(rows, strips.flatten(2)).unflatten(2, [weights.shape[1], columns.shape[0], features.shape[1]])
    sums = sums.transpose(1, 2).flatten(2, 3)
    area = torch.matmul(torch.matmul(rows, weights), columns.t()).flatten(2)
    return sums / (area + eps).unsqueeze(3), area


def mean_direction(prototypes: Tensor, is_used: Tensor) -> Tensor:
    """Mean of the unit prototypes of the cells in use.

    Args:
        prototypes: (..., G, C).
        is_used: (..., G) bool.

    Returns:
        (..., C), zero where no cell is in use.
    """
    share = is_used.to(prototypes.dtype)
    share = share / share.sum(dim=-1, keepdim=True).clamp_min(1.0)
    return torch.matmul(share.unsqueeze(-2), F.normalize(prototypes, dim=-1, eps=1e-8)).squeeze(-2)


def _members(length: int, like: Tensor) -> Tensor:
    """Which positions of an axis belong to which cell: (G, length) of 0 and 1."""
    starts, size = cell_starts(length)
    first = torch.tensor(starts, device=like.device).unsqueeze(1)
    position = torch.arange(length, device=like.device)
    return ((position >= first) & (position < first + size)).to(like.dtype)
