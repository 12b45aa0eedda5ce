# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Similarities of one query and one support, level by level: all cosines, their mean, and every query cell's best ones.

N = grid * grid cells of the support; P = N cells of the query, or a quarter of it on a level that is coarser.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .alignment import cell_centres, position_entries, resize_cells
from .deformation import resize_field
from .support_bias import top_mean

__all__ = ["best_matches", "mean_similarity", "pair_similarities"]


def pair_similarities(
    features: dict[str, Tensor], centre: Tensor, vectors: Tensor, index: int, support_grid: int
) -> list[Tensor]:
    """Cosines of one pair, per level.

    Args:
        features: {level: (B, C, h, w)}, in the order in which ``centre`` and ``vectors`` hold the levels.
        centre: (C,) mean of the pair, all levels.
        vectors: (C, N) of the support.
        index: of the query in the batch.
        support_grid: cells per side of the support.

    Returns:
        per level (P, N).
    """
    found: list[Tensor] = []
    start = 0
    for batch in features.values():
        maps = batch[index : index + 1]
        end = start + maps.shape[1]
        middle = centre[start:end].unsqueeze(1)
        grid = support_grid if min(maps.shape[2], maps.shape[3]) >= support_grid else support_grid // 2
        query = F.normalize(resize_cells(maps, grid)[0] - middle, dim=0)
        found.append(torch.matmul(query.transpose(0, 1), F.normalize(vectors[start:end] - middle, dim=0)))
        start = end
    return found


def mean_similarity(similarities: list[Tensor], grid: int) -> Tensor:
    """Mean over levels on the finest grid: per level (P, N) -> (N, N)."""
    cells = grid * grid
    coarse: list[Tensor] = []
    fine: list[Tensor] = []
    for similarity in similarities:
        if similarity.shape[0] == cells:
            fine.append(similarity)
        else:
            coarse.append(similarity)
    total = torch.zeros_like(similarities[0][:1])
    if len(coarse) > 0:
        half = grid // 2
        maps = torch.stack(coarse).sum(dim=0).transpose(0, 1).reshape(1, -1, half, half)
        maps = F.interpolate(maps, [grid, grid], mode="bilinear", align_corners=False)
        total = maps.flatten(2)[0].transpose(0, 1)
    for similarity in fine:
        total = total + similarity
    return total / len(similarities)


def best_matches(
    similarities: list[Tensor],
    places: Tensor,
    prior: float,
    foreground: Tensor,
    background: Tensor,
    support_grid: int,
    top: int,
) -> Tensor:
    """Mean of the best matches of one pair.

    Args:
        similarities: per level (P, N).
        places: (N, 2) place of every query cell in the support image.
        prior: weight of the squared distance.
        foreground: (N,) bool.
        background: (N,) bool.
        support_grid: cells per side of the support.
        top: matches averaged.

    Returns:
        (L, 2, support_grid, support_grid), the lowest possible value for a side without cells.
    """
    centres = cell_centres(support_grid, support_grid, places)
    levels: list[Tensor] = []
    for similarity in similarities:
        grid = support_grid if similarity.shape[0] == support_grid * support_grid else support_grid // 2
        here = resize_field(places.unsqueeze(0), support_grid, grid)
        near = position_entries(here[0], prior, True).transpose(0, 1)
        far = position_entries(centres, prior, False)
        sides: list[Tensor] = []
        for chosen in (foreground, background):
            if bool(chosen.any()):
                sides.append(top_mean(torch.addmm(similarity[:, chosen], near, far[:, chosen]), top))
            else:
                sides.append(torch.full_like(similarity[:, 0], -1.0 - 2.0 * prior))
        maps = torch.stack(sides).view(1, 2, grid, grid)
        if grid != support_grid:
            maps = F.interpolate(maps, [support_grid, support_grid], mode="bilinear", align_corners=False)
        levels.append(maps[0])
    return torch.stack(levels)
