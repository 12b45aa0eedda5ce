# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The backbones under the name of the module that held them all."""

from . import LEVELS, TimmBackbone, efficientnet_lite2, resnet50, timm_backbone

__all__ = ["LEVELS", "TimmBackbone", "efficientnet_lite2", "resnet50", "timm_backbone"]
