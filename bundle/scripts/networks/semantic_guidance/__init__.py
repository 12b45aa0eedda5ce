# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CD-TG: text-guided features and prototypes that plug into a few-shot host."""

from scripts.networks.semantic_guidance.guidance import SemanticGuidance
from scripts.networks.semantic_guidance.released import ReleasedSemanticGuidance
from scripts.networks.semantic_guidance.unit import SemanticUnit, convert_reference_state

__all__ = ["ReleasedSemanticGuidance", "SemanticGuidance", "SemanticUnit", "convert_reference_state"]
