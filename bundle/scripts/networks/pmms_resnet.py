# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The ResNet-50 variant that PMMs and RPMMs were published with."""

from typing import Any

from timm.models.resnet import Bottleneck, ResNet
from torch import nn

__all__ = ["pmms_resnet50"]


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
