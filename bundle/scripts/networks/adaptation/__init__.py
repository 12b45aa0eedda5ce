# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Tuning of a host to the target at test time, from an episode's support set alone."""

from .augmented_support import AugmentedSupport
from .base import Adaptation
from .lending import with_parameters
from .self_matching import SelfMatching

__all__ = ["Adaptation", "AugmentedSupport", "SelfMatching", "with_parameters"]
