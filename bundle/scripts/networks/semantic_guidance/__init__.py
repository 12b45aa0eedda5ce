# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CD-TG: text-guided features and prototypes that plug into a few-shot host."""

from .guidance import SemanticGuidance
from .released import ReleasedSemanticGuidance
from .unit import SemanticUnit, convert_reference_state

__all__ = ["ReleasedSemanticGuidance", "SemanticGuidance", "SemanticUnit", "convert_reference_state"]
