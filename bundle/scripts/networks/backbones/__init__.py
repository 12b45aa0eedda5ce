# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Frozen and trained image backbones."""

from .any_timm import timm_backbone
from .efficientnet import efficientnet_lite2
from .frozen_backbone import LEVELS, TimmBackbone
from .ifa_resnet import ifa_backbone
from .pmms_resnet import pmms_backbone
from .qnet_resnet import qnet_backbone
from .resnet import resnet50
from .trained_backbone import TrainedBackbone

__all__ = [
    "LEVELS",
    "TimmBackbone",
    "TrainedBackbone",
    "efficientnet_lite2",
    "ifa_backbone",
    "pmms_backbone",
    "qnet_backbone",
    "resnet50",
    "timm_backbone",
]
