# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What label values mean, and how they become the binary masks of one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "IGNORED",
    "LARGEST_LABEL",
    "NOT_ANNOTATED",
    "binary_label",
    "class_label",
    "resize_label",
    "stack_labels",
]

IGNORED: Final = 255
"""Value of a mask's pixels that count neither as foreground nor as background."""

NOT_ANNOTATED: Final = IGNORED
"""Value of an annotation's pixels about which nobody has said anything."""

LARGEST_LABEL: Final = IGNORED - 1
"""Of what a label map in uint8 may hold beside it."""

_FEW_VALUES = 4


def binary_label(label: Tensor, values: Sequence[int], ignore_value: int | None = None) -> Tensor:
    """Mask of one class.

    Args:
        label: uint8, any shape, label values.
        values: the values that make up the class.
        ignore_value: value of pixels that count neither as foreground nor as background.

    Returns:
        float32 of the same shape: 1 foreground, 0 background, 255 ignored.
    """
    if len(values) > _FEW_VALUES:
        table = torch.zeros(256, dtype=torch.bool)
        table[list(values)] = True
        foreground = table[label.int()]
    else:  # comparisons are several times faster than a look-up
        foreground = torch.zeros_like(label, dtype=torch.bool)
        for value in values:
            foreground |= label == value
    mask = foreground.to(torch.float32)
    if ignore_value is not None:
        mask.masked_fill_((label == ignore_value) & ~foreground, IGNORED)
    return mask


def class_label(item: Mapping[str, Any], label: Tensor, class_name: str, values: Sequence[int]) -> Tensor:
    """`binary_label` with the item's own ``ignore_value``; `values` serve where the class is absent from the item."""
    return binary_label(label, item["classes"].get(class_name, values), item.get("ignore_value"))


def resize_label(label: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (C, H, W) by nearest neighbour, with pixel centres where the image's bilinear resize has them."""
    if tuple(label.shape[-2:]) == tuple(size):
        return label
    return F.interpolate(label[None], size, mode="nearest-exact")[0]


def stack_labels(labels: Sequence[Tensor]) -> Tensor:
    """Stack (1, H, W) masks to (K, 1, H, W); those of different sizes are brought to the largest height and width."""
    size = (max(label.shape[-2] for label in labels), max(label.shape[-1] for label in labels))
    return torch.stack([resize_label(label, size) for label in labels])
