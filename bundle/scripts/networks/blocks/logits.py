# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The one way in which logits change their size.

Hosts differ in how their published code does it: the centres of both rasters' corner pixels coincide
(``align_corners``), or the corners themselves do. At the border the two are up to half a cell apart, so that whoever
resizes must know the host: the segmenter does, for images, labels and refinements alike, and nobody else resizes.
"""

from typing import Optional

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["resize_logits"]


def resize_logits(
    logits: Tensor, size: Optional[tuple[int, int]], align_corners: bool, mode: str = "bilinear"
) -> Tensor:
    """Resize, bilinearly unless a network asks for something else.

    Args:
        logits: (N, C, h, w).
        size: (H, W); None, or the logits' own, leaves them as they are.
        align_corners: the host's rule.
        mode: interpolation, ``bilinear`` or ``bicubic``.

    Returns:
        (N, C, H, W); half precision comes back as float32, since the sign of a small difference would be rounded away.
    """
    if size is None or (logits.shape[2] == size[0] and logits.shape[3] == size[1]):
        return logits
    if logits.dtype == torch.float16 or logits.dtype == torch.bfloat16:
        logits = logits.float()
    return F.interpolate(logits, [size[0], size[1]], mode=mode, align_corners=align_corners)
