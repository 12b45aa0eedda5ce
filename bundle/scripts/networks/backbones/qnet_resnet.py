# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The ResNet-101 variant that Q-Net was published with."""

from pathlib import Path
from typing import Any

from timm.models.resnet import Bottleneck, ResNet

from .frozen_backbone import TimmBackbone
from .resnet import resnet_stages
from .weights import load_by_name

__all__ = ["qnet_backbone", "qnet_resnet101"]

_DILATIONS = {"layer2": (1, 2), "layer3": (2, 4), "layer4": (4, 4)}
"""Dilation of a stage's first block and of its others."""


def qnet_resnet101() -> Any:
    """ResNet-101 whose second and third stage are dilated while the fourth keeps its stride.

    A map of layer3 has a quarter of the image's side (Q-Net's fine scale), one of layer4 an eighth (its coarse scale).
    Parameter names are torchvision's. As published, training starts from DeepLabV3's ResNet-101, trained on COCO.

    Returns:
        A timm network with random weights and no classifier, in evaluation mode.
    """
    block: Any = Bottleneck
    network: Any = ResNet(block, (3, 4, 23, 3), num_classes=0, zero_init_last=False)
    for stage, (first, others) in _DILATIONS.items():
        blocks = getattr(network, stage)
        for index, each in enumerate(blocks):
            dilation = others if index else first
            each.conv2.dilation, each.conv2.padding = (dilation, dilation), (dilation, dilation)
        if stage != "layer4":
            blocks[0].conv2.stride = (1, 1)
            blocks[0].downsample[0].stride = (1, 1)
    return network.eval()


def qnet_backbone(weights: str | Path) -> TimmBackbone:
    """The published network as a backbone, for the host ``qnet`` on its levels c4 and c5.

    Args:
        weights: file with torchvision's parameter names of a ResNet-101, classifier or not.

    Returns:
        The backbone with levels c2 (256 channels), c3 (512), c4 (1024), all at stride 4, and c5 (2048) at stride 8.

    Raises:
        FileNotFoundError: when the file does not exist.
        ValueError: when its tensors do not fit.
    """
    network = qnet_resnet101()
    missing = load_by_name(network, weights, ignored=("fc.",))
    return TimmBackbone(network, name="qnet_resnet101", stages=resnet_stages(network), missing=missing)
