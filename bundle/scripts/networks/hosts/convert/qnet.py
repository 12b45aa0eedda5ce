# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Q-Net's published checkpoints under this project's names."""

from collections.abc import Mapping

from torch import Tensor

from .hypercorrelation import rename

__all__ = ["convert_qnet"]

_NAMES = {
    "encoder.reduce1.weight": "embed_fine.weight",
    "encoder.reduce2.weight": "embed_coarse.weight",
    "encoder.backbone.fc.weight": "threshold_head.0.weight",
    "encoder.backbone.fc.bias": "threshold_head.0.bias",
    "encoder.reduce1d.weight": "threshold_head.1.weight",
    "encoder.reduce1d.bias": "threshold_head.1.bias",
}
_BACKBONE = tuple(
    f"encoder.backbone.{part}." for part in ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
)  # has a file of its own here


def convert_qnet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published Q-Net state for the host ``qnet`` on levels c4 and c5 of a ResNet-101.

    Args:
        state: as in the public repository; a prefix ``module.`` is dropped.

    Returns:
        State of :class:`scripts.networks.hosts.QNet` without guidance.

    Raises:
        ValueError: listing all names that are missing or unexpected.
    """
    return rename(state, _NAMES, ignored=_BACKBONE, method="Q-Net")
