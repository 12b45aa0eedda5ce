# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The ResNet-50 variant that IFA and SSP were published with."""

from pathlib import Path
from typing import Any

from timm.models.resnet import Bottleneck, ResNet
from torch import nn

from .frozen_backbone import TimmBackbone
from .resnet import resnet_stages
from .weights import load_by_name

__all__ = ["ifa_backbone", "ifa_resnet50"]


def ifa_resnet50() -> Any:
    """ResNet-50 with a deep stem, cut after layer3, at output stride 8 by dilation, with signed features.

    Differs from the usual ResNet-50 in its stem (three 3x3 convolutions, 64, 64 and 128 wide), so torchvision's weights
    don't fit; and the last block of layer3 ends without its ReLU. Parameter names are those of the reference
    (``conv1.0.weight``, ``layer1.0.bn1.running_var``, ...).

    Returns:
        A timm network with random weights, in evaluation mode; ``forward_features`` gives (N, 1024, H / 8, W / 8).
    """
    block: Any = Bottleneck
    network: Any = ResNet(
        block, (3, 4, 6, 3), stem_type="deep", stem_width=64, output_stride=8, num_classes=0, zero_init_last=False
    )
    network.layer3[-1].act3 = nn.Identity()
    network.layer4 = nn.Identity()
    return network.eval()


def ifa_backbone(weights: str | Path) -> TimmBackbone:
    """The published network as a frozen backbone, for the host ``ifa`` on level c4 alone.

    Args:
        weights: file with the state of ``ifa_resnet50``, as ``convert_ifa`` makes it from a published checkpoint.

    Returns:
        The backbone with levels c2 (256 channels), c3 (512), c4 (1024, signed), strides 4, 8 and 8.

    Raises:
        FileNotFoundError: when the file does not exist.
        ValueError: when its tensors do not fit.
    """
    network = ifa_resnet50()
    missing = load_by_name(network, weights)
    return TimmBackbone(network, name="ifa_resnet50", stages=resnet_stages(network), missing=missing)
