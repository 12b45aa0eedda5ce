# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""ResNet-50 in torchvision's layout, and the names of a ResNet's stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
from torch import nn

from .frozen_backbone import TimmBackbone
from .weights import load_by_name

__all__ = ["resnet50", "resnet_stages"]


def resnet50(
    weights: str | Path | None = None,
    *,
    output_stride: int = 8,
    stride_in_1x1: bool = False,
    last_relu: bool = True,
    block_relu: bool = True,
) -> TimmBackbone:
    """ResNet-50 in torchvision's layout (He et al., CVPR 2016), the papers' backbone.

    Args:
        weights: a ``.safetensors`` or ``.pth`` file with torchvision's parameter names; it may stop before ``layer4``,
            then level c5 cannot be selected. None downloads timm's ImageNet weights.
        output_stride: 32, 16 or 8; smaller strides are made by dilation.
        stride_in_1x1: whether a stage's stride sits in its first 1x1 convolution (the original Caffe and Keras
            weights), not in the 3x3 one as in torchvision.
        last_relu: whether the deepest selected level ends in its ReLU.
        block_relu: whether every selected level does.

    Returns:
        The backbone with levels c2 to c5 = layer1 to layer4.

    Raises:
        FileNotFoundError: when the file does not exist.
        ValueError: when its tensors do not fit.
    """
    network: Any = timm.create_model("resnet50", pretrained=weights is None, output_stride=output_stride)
    missing = load_by_name(network, weights) if weights is not None else []
    if stride_in_1x1:
        for layer in (network.layer2, network.layer3, network.layer4):
            layer[0].conv1.stride, layer[0].conv2.stride = layer[0].conv2.stride, (1, 1)
    name = "resnet50" + ("" if output_stride == 8 else f", output stride {output_stride}")
    name += ", stride in 1x1" if stride_in_1x1 else ""
    return TimmBackbone(
        network,
        name=name,
        stages=resnet_stages(network),
        last_relu=last_relu,
        block_relu=block_relu,
        missing=missing,
    )


def resnet_stages(network: Any) -> dict[str, list[str]]:
    """Module names of a ResNet's blocks, by level: c2 is layer1; a layer that was cut off has no level."""
    layers = {f"c{i + 1}": (f"layer{i}", getattr(network, f"layer{i}")) for i in range(1, 5)}
    return {
        level: [f"{name}.{block}" for block in range(len(layer))]
        for level, (name, layer) in layers.items()
        if isinstance(layer, nn.Sequential)
    }
