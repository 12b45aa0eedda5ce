# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From a few annotated slices to the whole volume, without training (docs/propagation.md)."""

from __future__ import annotations

from ...networks.protocols import FeatureSource
from .evidence.annotations import ANNOTATION_COMPLETE, NOT_ANNOTATED, SliceAnnotation
from .evidence.slice_features import SliceStack, extract_features
from .memory.memo import Memo
from .parameters import PropagationParameters
from .pipeline import Propagated, segment_stack
from .result import PropagationResult, SliceReport

__all__ = [
    "ANNOTATION_COMPLETE",
    "NOT_ANNOTATED",
    "FeatureSource",
    "Memo",
    "Propagated",
    "PropagationParameters",
    "PropagationResult",
    "SliceAnnotation",
    "SliceReport",
    "SliceStack",
    "extract_features",
    "segment_stack",
]
