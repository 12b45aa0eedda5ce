# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Support masks at the features' grid: soft weights for pooling, sure cells for matching.

A mask holds 0 (background), 1 (foreground) and 255 (unknown, belongs to neither).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...labels import IGNORED

__all__ = ["aligned_weights", "area_weights", "sure_cells", "with_unknown"]


def area_weights(mask: Tensor, size: list[int], like: Tensor) -> Tensor:
    """Share of every cell that is foreground and background; no object is too small to leave a trace.

    Args:
        mask: (N, 1, H, W) in {0, 1, 255}.
        size: [h, w] of the grid.
        like: a tensor whose dtype the result takes.

    Returns:
        (N, 2, h, w): foreground, background, each in [0, 1].
    """
    return F.interpolate(_sides(mask, like), size=size, mode="area")


def with_unknown(mask: Tensor, where: Tensor, unknown: int = IGNORED) -> Tensor:
    """Mark the pixels of a mask as unknown where a boolean tensor, which broadcasts against it, says so."""
    return mask.masked_fill(where, unknown)


def aligned_weights(mask: Tensor, size: list[int], like: Tensor) -> Tensor:
    """Foreground and background sampled bilinearly with aligned corners, as IFA and CD-TG do it.

    Samples points, so a small object can vanish between them.

    Args:
        mask: (N, 1, H, W) in {0, 1, 255}.
        size: [h, w] of the grid.
        like: a tensor whose dtype the result takes.

    Returns:
        (N, 2, h, w): foreground, background, each in [0, 1].
    """
    return F.interpolate(_sides(mask, like), size=size, mode="bilinear", align_corners=True)


def sure_cells(mask: Tensor, size: list[int]) -> tuple[Tensor, Tensor]:
    """Cells of the grid that are foreground or background without doubt.

    Foreground: more than half of the cell is; background: less than a tenth of it is foreground or unknown. A side that
    has pixels but no such cell keeps its best cells; a side without any pixel has no cell.

    Args:
        mask: (N, 1, H, W) in {0, 1, 255}.
        size: [h, w] of the grid.

    Returns:
        foreground (N, h * w) bool, background (N, h * w) bool.
    """
    foreground = F.interpolate((mask == 1).float(), size=size, mode="area").flatten(1)
    other = F.interpolate((mask != 0).float(), size=size, mode="area").flatten(1)
    return _or_best(foreground > 0.5, foreground), _or_best(other < 0.1, 1.0 - other)


def _sides(mask: Tensor, like: Tensor) -> Tensor:
    """(N, 1, H, W) -> (N, 2, H, W): is foreground, is background."""
    return torch.cat([mask == 1, mask == 0], dim=1).to(like.dtype)


def _or_best(sure: Tensor, share: Tensor) -> Tensor:
    """The sure cells of each row, or its cells of the largest share where it has none."""
    largest = share.amax(dim=1, keepdim=True)
    best = (share >= largest) & (largest > 0)
    return sure | (best & ~sure.any(dim=1, keepdim=True))
