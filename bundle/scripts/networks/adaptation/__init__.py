# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Tuning of a host to the target at test time, from an episode's support set alone."""

from scripts.networks.adaptation.augmented_support import AugmentedSupport
from scripts.networks.adaptation.base import Adaptation
from scripts.networks.adaptation.lending import with_parameters
from scripts.networks.adaptation.self_matching import SelfMatching

__all__ = ["Adaptation", "AugmentedSupport", "SelfMatching", "with_parameters"]
