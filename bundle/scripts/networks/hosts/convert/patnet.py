# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""PATNet's published checkpoints under this project's names."""

from collections.abc import Mapping

from torch import Tensor

from .hypercorrelation import head_names, rename

__all__ = ["convert_patnet"]

_IGNORED = (
    "backbone.",  # stored with the checkpoint though it is frozen; here it has a file of its own
    "reference_layer1.bias",  # anchors are weights of linear layers whose biases nothing uses
    "reference_layer2.bias",
    "reference_layer3.bias",
)


def convert_patnet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published PATNet (ResNet-50) state for the host ``patnet``.

    Args:
        state: as in the public repository; a prefix ``module.`` is dropped.

    Returns:
        State of :class:`scripts.networks.hosts.PATNet`.

    Raises:
        ValueError: listing all names that are missing or unexpected.
    """
    names = {f"reference_layer{index + 1}.weight": f"anchors.{index}.weight" for index in range(3)}
    return rename(state, {**names, **head_names()}, ignored=_IGNORED, method="PATNet")
