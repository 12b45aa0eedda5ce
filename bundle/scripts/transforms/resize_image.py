# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Bring images to the network's input size."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from monai.config.type_definitions import KeysCollection
from monai.transforms.transform import MapTransform

__all__ = ["ResizeImaged"]


class ResizeImaged(MapTransform):
    """Resize (C, H, W) to (C, size, size), bilinear; the aspect ratio is not kept.

    Large pictures are not smoothed before they shrink (`antialias` off), as in the experiments that the defaults come
    from; labels keep their own size and are never resized here.

    Args:
        keys: images.
        size: rows and columns.
        antialias: smooth before shrinking.
        allow_missing_keys: see MONAI.
    """

    def __init__(
        self, keys: KeysCollection, size: int, antialias: bool = False, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.size = size
        self.antialias = antialias

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Resize the entries."""
        result = dict(data)
        for key in self.key_iterator(result):
            image = torch.as_tensor(result[key])[None]
            shape = (self.size, self.size)
            result[key] = F.interpolate(image, shape, mode="bilinear", align_corners=False, antialias=self.antialias)[0]
        return result
