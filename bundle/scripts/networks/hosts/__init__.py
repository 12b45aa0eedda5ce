# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Few-shot hosts, one file each."""

from scripts.networks.hosts.aligned_matching import AlignedMatching
from scripts.networks.hosts.base import Host, TrainingTerm
from scripts.networks.hosts.dmtnet import DMTNet
from scripts.networks.hosts.dmtnet_released import ReleasedDMTNet
from scripts.networks.hosts.ifa import IFA
from scripts.networks.hosts.ifa_released import ReleasedIFA
from scripts.networks.hosts.matching import Matching
from scripts.networks.hosts.patnet import PATNet
from scripts.networks.hosts.patnet_released import ReleasedPATNet
from scripts.networks.hosts.pmms import PMMs
from scripts.networks.hosts.pmms_released import ReleasedPMMs, ReleasedRPMMs
from scripts.networks.hosts.prototype import Prototype
from scripts.networks.hosts.qnet import QNet
from scripts.networks.hosts.qnet_released import ReleasedQNet
from scripts.networks.hosts.rpmms import RPMMs

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
