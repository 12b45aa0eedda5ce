# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""DMTNet's published checkpoints under this project's names."""

from collections.abc import Mapping

from torch import Tensor

from .hypercorrelation import head_names, rename

__all__ = ["convert_dmtnet"]

_IGNORED = (
    "backbone.",  # stored with the checkpoint though it is frozen; here it has a file of its own
    *(f"reference_layer{index}.bias" for index in range(1, 7)),  # of linear layers of which only the weight is used
)


def convert_dmtnet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published DMTNet (ResNet-50) state for the host ``dmtnet``.

    The public code pairs the query's foreground prototype with its background anchor and the other way round, so its
    checkpoints hold the rows of ``reference_layer4`` to ``6`` in the opposite order. They are exchanged here.

    Args:
        state: as in the public repository; a prefix ``module.`` is dropped.

    Returns:
        State of :class:`scripts.networks.hosts.DMTNet`.

    Raises:
        ValueError: listing all names that are missing or unexpected.
    """
    names = {f"reference_layer{index + 1}.weight": f"anchors.{index}.weight" for index in range(3)}
    names |= {f"reference_layer{index + 4}.weight": f"query_anchors.{index}.weight" for index in range(3)}
    converted = rename(state, names | head_names(), ignored=_IGNORED, method="DMTNet")
    return {name: value.flip(0) if name.startswith("query_anchors.") else value for name, value in converted.items()}
