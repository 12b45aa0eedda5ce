# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Mirror the items that are marked as flipped copies."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config.type_definitions import KeysCollection
from monai.transforms.transform import MapTransform

__all__ = ["FlipIfFlaggedd"]


class FlipIfFlaggedd(MapTransform):
    """Mirror (C, H, W) left to right where the item has ``"flip": True``.

    The copy is an item of its own (`scripts.data.with_flips`) rather than a random transform, so that its features can
    be cached like any other's.
    """

    def __init__(self, keys: KeysCollection, flag: str = "flip", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.flag = flag

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Mirror the entries of a marked item."""
        result = dict(data)
        if result.get(self.flag, False):
            for key in self.key_iterator(result):
                result[key] = torch.flip(torch.as_tensor(result[key]), dims=(-1,)).contiguous()
        return result
