# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The ResNet-50 variant that PMMs and RPMMs were published with."""

from pathlib import Path
from typing import Any

from timm.models.resnet import Bottleneck, ResNet
from torch import nn

from .frozen_backbone import TimmBackbone
from .resnet import resnet_stages
from .weights import load_by_name

__all__ = ["pmms_backbone", "pmms_resnet50"]


def pmms_resnet50() -> Any:
    """ResNet-50 cut after layer3, at output stride 8 by dilation.

    Differs from torchvision's network, whose weights it was started from, in three ways: the pooling counts a cell that
    sticks out of the image; a stage's stride sits in its first 1x1 convolution; layer3 is dilated in all blocks, the
    first too.

    Returns:
        A timm network with random weights, in evaluation mode, with torchvision's parameter names. PMMs takes the maps
        of layer2 and layer3, both after their ReLU.
    """
    block: Any = Bottleneck
    network: Any = ResNet(block, (3, 4, 6, 3), num_classes=0, zero_init_last=False)
    network.maxpool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
    first = network.layer2[0]
    first.conv1.stride, first.conv2.stride = (2, 2), (1, 1)
    network.layer3[0].downsample[0].stride = (1, 1)
    for each in network.layer3:
        each.conv2.stride, each.conv2.dilation, each.conv2.padding = (1, 1), (2, 2), (2, 2)
    network.layer4 = nn.Identity()
    return network.eval()


def pmms_backbone(weights: str | Path) -> TimmBackbone:
    """The published network as a backbone, for the hosts ``pmms`` and ``rpmms`` on the levels c3 and c4.

    Args:
        weights: file with torchvision's parameter names of a ResNet-50; what comes after layer3 is left out.

    Returns:
        The backbone with levels c2 (256 channels), c3 (512) and c4 (1024), strides 4, 8 and 8.

    Raises:
        FileNotFoundError: when the file does not exist.
        ValueError: when its tensors do not fit.
    """
    network = pmms_resnet50()
    missing = load_by_name(network, weights, ignored=("layer4.", "fc."))
    return TimmBackbone(network, name="pmms_resnet50", stages=resnet_stages(network), missing=missing)
