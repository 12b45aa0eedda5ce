# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Dense matching of one slice with the foreground and the background of another.

Score of a cell = sum over levels of (mean of the k largest cosines to foreground cells - the same for background).
Each level is matched by itself; features are not centred.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["cell_coverage", "choose_cells", "match", "upsample"]

UNMATCHED = -1.0  # score of cells that were not asked for


def cell_coverage(mask: NDArray[Any], grid: tuple[int, int]) -> NDArray[np.float32]:
    """Share of each cell that a mask (H, W) covers, (rows * columns of the grid,)."""
    coverage = cv2.resize(mask.astype(np.float32), (grid[1], grid[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(coverage, np.float32).ravel()


def upsample(grid: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bring a map on the grid to the pixels of the working grid (bilinear)."""
    return np.asarray(cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def choose_cells(coverage: NDArray[np.float32], threshold: float) -> NDArray[np.intp]:
    """Indices of the cells covered by more than ``threshold``; the best covered ones if there are none.

    A mask that covers nothing has no cells.
    """
    chosen = coverage > threshold
    if not chosen.any():
        chosen = coverage >= max(float(coverage.max()), 1e-6)
    return np.flatnonzero(chosen)


def match(
    query: Mapping[str, Tensor],
    support: Mapping[str, Tensor],
    query_cells: NDArray[np.intp],
    foreground: NDArray[np.intp],
    background: NDArray[np.intp],
    levels: tuple[str, ...],
    *,
    top_k: int,
    grid: tuple[int, int],
    excluded_radius: int | None = None,
) -> NDArray[np.float32]:
    """Score the asked cells of a query slice.

    Args:
        query: unit features by level, (C, N), N the grid's cells row by row.
        support: the same for the slice whose mask is known.
        query_cells: indices of the cells to score.
        foreground: indices of the support's foreground cells.
        background: indices of its background cells.
        levels: levels that are matched and summed.
        top_k: number of best cosines that are averaged.
        grid: its rows and columns.
        excluded_radius: support cells within this many cells of the query's own place don't count (a slice that is
            matched with itself).

    Returns:
        (rows, columns) scores; -1 where nothing was asked.
    """
    result = np.full(grid[0] * grid[1], UNMATCHED, np.float32)
    score = torch.zeros(len(query_cells))
    cells = torch.from_numpy(query_cells)
    for indices, sign in ((foreground, 1.0), (background, -1.0)):
        if not len(indices):
            continue
        hidden = None if excluded_radius is None else _near(query_cells, indices, grid[1], excluded_radius)
        chosen = torch.from_numpy(indices)
        for level in levels:
            cosine = query[level][:, cells].T @ support[level][:, chosen]
            if hidden is not None:
                cosine.masked_fill_(hidden, 0.0)
            score += sign * cosine.topk(min(top_k, len(indices)), dim=1)[0].mean(1)
    result[query_cells] = score.numpy()
    return result.reshape(grid)


def _near(query_cells: NDArray[np.intp], cells: NDArray[np.intp], columns: int, radius: int) -> Tensor:
    down = np.abs(query_cells[:, None] // columns - cells // columns)
    across = np.abs(query_cells[:, None] % columns - cells % columns)
    return torch.from_numpy(np.maximum(down, across) <= radius)
