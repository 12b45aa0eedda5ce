# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Position tables: learned ones for any grid, fixed ones of sines.

A learned table belongs to a square grid. For another grid it is resized, bicubic, without aligned corners, as CLIPSeg
and CRIS do; the grid may be a rectangle.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["resize_positions", "sine_positions_1d", "sine_positions_2d"]

_BASE = 10000.0


def resize_positions(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resize a table of a square grid.

    Args:
        table: (n * n, D), row by row.
        grid: (h, w).

    Returns:
        (h * w, D); the table itself for its own grid.

    Raises:
        ValueError: when the table isn't of a square grid.
    """
    side = math.isqrt(table.shape[0])
    if side * side != table.shape[0]:
        raise ValueError(f"a table of {table.shape[0]} positions is not of a square grid")
    if (side, side) == grid:
        return table
    square = table.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    return F.interpolate(square, size=grid, mode="bicubic", align_corners=False)[0].flatten(1).T


def sine_positions_1d(width: int, length: int, device: torch.device | None = None) -> Tensor:
    """Sines and cosines of a sequence, interleaved.

    Args:
        width: even.
        length: of the sequence.
        device: of the result.

    Returns:
        (length, width).
    """
    rates = torch.exp(torch.arange(0, width, 2, device=device) * -(math.log(_BASE) / width))
    angles = torch.arange(length, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def sine_positions_2d(width: int, grid: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Sines and cosines of a grid: the first half of the channels tells the column, the second the row.

    Args:
        width: a multiple of 4.
        grid: (h, w).
        device: of the result.

    Returns:
        (h * w, width), row by row.
    """
    height, columns = grid
    column = sine_positions_1d(width // 2, columns, device)[None].expand(height, -1, -1)
    row = sine_positions_1d(width // 2, height, device)[:, None].expand(-1, columns, -1)
    return torch.cat([column, row], dim=2).flatten(0, 1)
