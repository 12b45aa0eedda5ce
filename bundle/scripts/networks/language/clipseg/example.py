# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""An annotated image as CLIPSeg's prompt, masked as its authors found best: the background dark and blurred, and the
image cut around the object (Lüddecke & Ecker 2022, section 4.1, "CLIP-based visual prompt engineering").
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["masked_example"]

_DARKNESS = 0.1
_BLUR = 7
_MARGIN = 0.1


def masked_example(image: Tensor, label: Tensor) -> Tensor:
    """Show CLIP the object of an annotated image.

    Args:
        image: (N, 3, H, W), RGB in [0, 1].
        label: (N, 1, h, w) in {0, 1, 255}; 255 counts as background.

    Returns:
        (N, 3, S, S), the square around the object, with S the smaller of H and W.

    Raises:
        ValueError: when a label has no foreground.
    """
    size = (image.shape[-2], image.shape[-1])
    mask = F.interpolate((label == 1).float(), size=size, mode="area")
    blurred = F.avg_pool2d(F.pad(image, [_BLUR // 2] * 4, mode="replicate"), _BLUR, stride=1)
    shown = mask * image + (1 - mask) * _DARKNESS * blurred
    return torch.stack([_cut(one, extent[0] > 0) for one, extent in zip(shown, mask, strict=True)])


def _cut(image: Tensor, mask: Tensor) -> Tensor:
    """Cut the square around a mask, as far as the image goes, and bring it to the image's smaller side."""
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    if not len(rows):
        raise ValueError("an example needs at least one annotated pixel of what it shows (value 1)")
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    side = int(max(bottom - top, right - left) * (1 + 2 * _MARGIN)) + 1
    height, width = mask.shape
    top = max(min((top + bottom - side) // 2, height - side), 0)
    left = max(min((left + right - side) // 2, width - side), 0)
    cut = image[None, :, top : top + side, left : left + side]
    smaller = min(height, width)
    return F.interpolate(cut, size=(smaller, smaller), mode="bilinear", align_corners=False)[0]
