# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From a loaded volume to the arguments of a volume inferer."""

from __future__ import annotations

from typing import Any

import torch
from ignite.utils import convert_tensor
from monai.engines import PrepareBatch

__all__ = ["PrepareVolume"]


class PrepareVolume(PrepareBatch):
    """Hand over the image and, where the batch has one, its annotation; there is no label to compare with."""

    def __call__(
        self,
        batchdata: dict[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, None, tuple[()], dict[str, Any]]:
        """Return (image (1, 1, X, Y, Z), None, (), {annotation})."""
        image = convert_tensor(batchdata["image"], device, non_blocking)
        return image, None, (), {key: batchdata[key] for key in ("annotation",) if key in batchdata}
