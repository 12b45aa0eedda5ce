# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Several shots on the grid of one: side by side in a rectangle of tiles, for heads whose cost grows with the grid."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["mosaic", "one_above_another"]


def one_above_another(shots: Tensor) -> Tensor:
    """Lay an episode's shots one above the other: (N, S, C, h, ...) -> (N, C, S * h, ...)."""
    return shots.transpose(1, 2).flatten(2, 3)


def mosaic(maps: Tensor, is_used: Tensor) -> Tensor:
    """Lay shots in tiles on the grid that one of them has, each at a fraction of its resolution.

    Tiles go row by row, in as many rows as the root of their number; the first shots fill those that would stay empty.

    Args:
        maps: (N, C, S * h, w), shots one above the other.
        is_used: (N, S) bool, which shots get a tile; at least one of each row. A single one stays as it is.

    Returns:
        (N, C, h, w).
    """
    shots = is_used.shape[1]
    if shots == 1:
        return maps
    tiles = maps.unflatten(2, [shots, maps.shape[2] // shots])
    laid: list[Tensor] = []
    for index in range(maps.shape[0]):
        laid.append(_lay(tiles[index, :, is_used[index]]))
    return torch.stack(laid)


def _lay(tiles: Tensor) -> Tensor:
    """Lay tiles (C, T, h, w) on the grid of one: (C, h, w)."""
    number, height, width = tiles.shape[1], tiles.shape[2], tiles.shape[3]
    if number == 1:
        return tiles[:, 0]
    rows = int(math.sqrt(number))
    columns = (number + rows - 1) // rows
    tiles = torch.cat([tiles, tiles[:, : rows * columns - number]], dim=1)
    large = tiles.unflatten(1, [rows, columns]).transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return F.interpolate(large.unsqueeze(0), [height, width], mode="area")[0]
