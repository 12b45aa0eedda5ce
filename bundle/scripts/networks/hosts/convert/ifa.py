# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""IFA's published checkpoints under this project's names: a backbone, since its head has no parameters."""

from collections.abc import Mapping

from torch import Tensor

from ...backbones.ifa_resnet import ifa_resnet50
from .hypercorrelation import rename

__all__ = ["convert_ifa"]

_STEM = {"conv1.": "layer0.0.", "bn1.": "layer0.1."}
_COUNTER = "num_batches_tracked"


def convert_ifa(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published IFA (or SSP, ResNet-50) state for the network of ``ifa_resnet50``.

    Args:
        state: as in the public repository; a prefix ``module.`` is dropped.

    Returns:
        State of :func:`scripts.networks.backbones.ifa_resnet.ifa_resnet50`.

    Raises:
        ValueError: listing all names that are missing or unexpected.
    """
    own = ifa_resnet50().state_dict()
    names = {_published(name): name for name in own if not name.endswith(_COUNTER)}
    counters = tuple(_published(name) for name in own if name.endswith(_COUNTER))  # play no part in evaluation mode
    converted = rename(state, names, ignored=counters, method="published IFA")
    return {**converted, **{name: value for name, value in own.items() if name.endswith(_COUNTER)}}


def _published(name: str) -> str:
    for ours, theirs in _STEM.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name
