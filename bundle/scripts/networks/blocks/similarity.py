# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Cosine similarity with prototypes, and the mean similarity with the nearest cells of a set."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["cosine_with_prototypes", "gather_chosen", "mean_of_nearest"]


def cosine_with_prototypes(features: Tensor, prototypes: Tensor, eps: float = 1e-8) -> Tensor:
    """Cosine between every position and every prototype; 0 with a zero vector.

    Args:
        features: (B, C, h, w).
        prototypes: (B, M, C); one leading element serves the whole batch.
        eps: smallest norm that a vector is divided by.

    Returns:
        (B, M, h, w).
    """
    unit = F.normalize(features.flatten(2), dim=1, eps=eps)
    cosine = torch.matmul(F.normalize(prototypes, dim=2, eps=eps), unit)
    return torch.unflatten(cosine, 2, [features.shape[2], features.shape[3]])


def gather_chosen(vectors: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Pack the chosen columns of every element to the left.

    Args:
        vectors: (..., C, N).
        chosen: (..., N) bool.

    Returns:
        (..., C, n) with n the largest number chosen (at least 1; elements with fewer are filled with other columns),
        and (..., n) bool, False at fillers.
    """
    count = max(1, int(chosen.sum(dim=-1).max()))
    order = chosen.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)[..., :count]
    index = order.unsqueeze(-2).expand(vectors.shape[:-1] + (count,))
    return vectors.gather(-1, index), chosen.gather(-1, order)


def mean_of_nearest(query: Tensor, cells: Tensor, is_cell: Tensor, top: int, budget: int) -> Tensor:
    """Mean of the ``top`` largest inner products of every query column with a set of cells.

    Args:
        query: (B, 1, C, P).
        cells: (B or 1, K, C, n).
        is_cell: (B or 1, K, n) bool, False at fillers.
        top: products averaged; all of them where a set is smaller.
        budget: largest number of products held at a time; the query is cut into chunks that respect it.

    Returns:
        (B, K, P), zero where a set is empty.
    """
    top = min(top, cells.shape[3])
    # One more entry keeps fillers far from every query.
    cells = torch.cat([cells, -1e4 * (~is_cell).to(cells.dtype).unsqueeze(2)], dim=2)
    rows = torch.cat([query, torch.ones_like(query[:, :, :1])], dim=2).transpose(2, 3)
    used = is_cell.sum(dim=2, keepdim=True).clamp_max(top)
    is_used = (torch.arange(top, device=query.device) < used).unsqueeze(2)
    step = max(1, budget // (query.shape[0] * cells.shape[1] * cells.shape[3]))
    means: list[Tensor] = []
    for start in range(0, rows.shape[2], step):
        nearest = torch.matmul(rows[:, :, start : start + step], cells).topk(top, dim=3)[0]
        means.append(nearest.masked_fill(~is_used, 0.0).sum(dim=3) / used.clamp_min(1))
    return torch.cat(means, dim=2)
