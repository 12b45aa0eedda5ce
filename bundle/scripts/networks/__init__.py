# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Networks: segmenter, backbones, few-shot hosts and the text-guided plug-in."""

from scripts.networks.segmenter import FeatureExtractor, Segmenter
from scripts.networks.semantic_guidance import SemanticGuidance
from scripts.networks.style_perturbation import StylePerturbation
from scripts.networks.trained_backbone import TrainedBackbone

__all__ = ["FeatureExtractor", "Segmenter", "SemanticGuidance", "StylePerturbation", "TrainedBackbone"]
