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


def mosaic(maps: Tensor, shots: int) -> Tensor:
    """Lay shots in tiles on the grid that one of them has, each at a fraction of its resolution.

    Args:
        maps: (N, C, S * h, w), shots one above the other.
        shots: S. The first shots fill the tiles that would stay empty; a single shot stays as it is.

    Returns:
        (N, C, h, w).
    """
    if shots == 1:
        return maps
    height, width = maps.shape[2] // shots, maps.shape[3]
    rows = int(math.sqrt(shots))
    columns = (shots + rows - 1) // rows
    tiles = maps.unflatten(2, [shots, height])
    tiles = torch.cat([tiles, tiles[:, :, : rows * columns - shots]], dim=2)
    large = tiles.unflatten(2, [rows, columns]).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    return F.interpolate(large, [height, width], mode="area")
