# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The support's own bias: how much its near background looks like its foreground.

A support is matched against itself, with every cell's neighbourhood hidden so that no cell finds itself. Where the
scores of the foreground and of the background beside it do not lie on either side of zero, the threshold zero is
wrong for this object, and the midpoint of the two medians says by how much.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .alignment import append_position, cell_centres

__all__ = ["near_background", "self_scores", "support_bias", "top_mean"]


def top_mean(similarity: Tensor, top: int) -> Tensor:
    """Mean of the largest ``top`` entries of each row (of all, where there are fewer): (Q, S) -> (Q,)."""
    return similarity.topk(min(top, similarity.shape[1]), dim=1)[0].mean(dim=1)


def self_scores(
    vectors: list[Tensor], foreground: Tensor, background: Tensor, grid: int, prior: float, hidden: int, top: int
) -> Tensor:
    """Leave-neighbourhood-out matching score of every cell of one support.

    Args:
        vectors: unit vectors per level, each (C, grid * grid).
        foreground: (grid * grid,) bool.
        background: (grid * grid,) bool.
        grid: cells per side.
        prior: weight of the squared distance.
        hidden: radius, in cells, of the square neighbourhood that a cell may not match.
        top: matches averaged.

    Returns:
        (grid * grid,) sum over levels of foreground minus background similarity, each at least -1.
    """
    centres = cell_centres(grid, grid, vectors[0])
    row = torch.arange(grid * grid, device=foreground.device) // grid
    column = torch.arange(grid * grid, device=foreground.device) % grid
    score = torch.zeros_like(vectors[0][0])
    for sign, chosen in ((1.0, foreground), (-1.0, background)):
        near_row = (row.unsqueeze(1) - row[chosen].unsqueeze(0)).abs() <= hidden
        near_column = (column.unsqueeze(1) - column[chosen].unsqueeze(0)).abs() <= hidden
        penalty = (near_row & near_column).to(score.dtype) * 5.0
        for vector in vectors:
            query = append_position(vector, centres, prior, True)
            support = append_position(vector, centres, prior, False)[:, chosen]
            similarity = torch.matmul(query.transpose(0, 1), support) - penalty
            score = score + sign * top_mean(similarity, top).clamp_min(-1.0)
    return score


def near_background(foreground: Tensor, background: Tensor, grid: int, radius: int) -> Tensor:
    """Background cells within ``radius`` cells (a square) of the foreground: (grid * grid,) bool."""
    plane = foreground.to(torch.float32).view(1, 1, grid, grid)
    grown = F.max_pool2d(plane, kernel_size=2 * radius + 1, stride=1, padding=radius)
    return background & (grown.flatten() > 0)


def support_bias(
    vectors: list[Tensor],
    foreground: Tensor,
    background: Tensor,
    grid: int,
    prior: float = 1.0,
    hidden: int = 3,
    near: int = 5,
    top: int = 3,
) -> Tensor:
    """Bias of one support, to be subtracted (times a weight) from the scores it gives to others.

    Args:
        vectors: unit vectors per level, each (C, grid * grid), centred on the support's own mean.
        foreground: (grid * grid,) bool.
        background: (grid * grid,) bool.
        grid: cells per side.
        prior: weight of the squared distance.
        hidden: radius of the hidden neighbourhood in cells.
        near: radius in cells within which background counts as beside the object.
        top: matches averaged.

    Returns:
        () max(0, midpoint of the median scores of foreground and near background); 0 without near background.
    """
    beside = near_background(foreground, background, grid, near)
    if not bool(beside.any()) or not bool(foreground.any()):
        return torch.zeros_like(vectors[0][0, 0])
    score = self_scores(vectors, foreground, background, grid, prior, hidden, top)
    return ((score[foreground].median() + score[beside].median()) / 2).clamp_min(0.0)
