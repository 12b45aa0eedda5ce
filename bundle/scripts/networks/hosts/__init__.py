# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Few-shot hosts, one file each."""

from .aligned_matching import AlignedMatching
from .base import Host, TrainingTerm
from .dmtnet import DMTNet
from .ifa import IFA
from .matching import Matching
from .patnet import PATNet
from .pmms import PMMs
from .prototype import Prototype
from .qnet import QNet
from .released.dmtnet import ReleasedDMTNet
from .released.ifa import ReleasedIFA
from .released.patnet import ReleasedPATNet
from .released.pmms import ReleasedPMMs, ReleasedRPMMs
from .released.qnet import ReleasedQNet
from .rpmms import RPMMs

__all__ = [
    "IFA",
    "AlignedMatching",
    "DMTNet",
    "Host",
    "Matching",
    "PATNet",
    "PMMs",
    "Prototype",
    "QNet",
    "RPMMs",
    "ReleasedDMTNet",
    "ReleasedIFA",
    "ReleasedPATNet",
    "ReleasedPMMs",
    "ReleasedQNet",
    "ReleasedRPMMs",
    "TrainingTerm",
]
