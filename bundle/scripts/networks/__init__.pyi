# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Networks: segmenter, backbones, few-shot hosts and the text-guided plug-in."""

from .backbones.trained_backbone import TrainedBackbone
from .feature_extractor import FeatureExtractor
from .segmenter import Segmenter
from .semantic_guidance import SemanticGuidance
from .style_perturbation import StylePerturbation

__all__ = ["FeatureExtractor", "Segmenter", "SemanticGuidance", "StylePerturbation", "TrainedBackbone"]
