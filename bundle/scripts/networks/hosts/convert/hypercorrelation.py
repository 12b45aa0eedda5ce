# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Weights of HSNet's 4-D head as PATNet and DMTNet publish them (``hpn_learner.*``), under this project's names."""

from collections.abc import Mapping

from torch import Tensor

__all__ = ["head_names", "rename"]

_PREFIX = "hpn_learner."
_BLOCKS = {
    "encoder_layer2": ("squeeze.0.first", "squeeze.0.later.0", "squeeze.0.later.1"),
    "encoder_layer3": ("squeeze.1.first", "squeeze.1.later.0", "squeeze.1.later.1"),
    "encoder_layer4": ("squeeze.2.first", "squeeze.2.later.0", "squeeze.2.later.1"),
    "encoder_layer4to3": ("mix_middle.0", "mix_middle.1", "mix_middle.2"),
    "encoder_layer3to2": ("mix_finest.0", "mix_finest.1", "mix_finest.2"),
}
_CONVOLUTIONS = {"decoder1.0": "decoder.0", "decoder1.2": "decoder.2", "decoder2.0": "classifier.0"}
_CONVOLUTIONS["decoder2.2"] = "classifier.2"


def head_names(prefix: str = "head.") -> dict[str, str]:
    """Map every published parameter name of the head to ours.

    Args:
        prefix: of our names.
    """
    modules = dict(_CONVOLUTIONS)
    for theirs, blocks in _BLOCKS.items():
        for index, ours in enumerate(blocks):  # convolution, norm and ReLU take three places in their sequence
            modules[f"{theirs}.{3 * index}.conv1"] = f"{ours}.conv.query_conv"
            modules[f"{theirs}.{3 * index}.conv2"] = f"{ours}.conv.support_conv"
            modules[f"{theirs}.{3 * index + 1}"] = f"{ours}.norm"
    return {
        f"{_PREFIX}{theirs}.{kind}": f"{prefix}{ours}.{kind}"
        for theirs, ours in modules.items()
        for kind in ("weight", "bias")
    }


def rename(
    state: Mapping[str, Tensor], names: Mapping[str, str], *, ignored: tuple[str, ...] = (), method: str
) -> dict[str, Tensor]:
    """Rename a published state, leaving nothing out silently.

    Args:
        state: published names to tensors; a prefix ``module.`` is dropped.
        names: published name to ours, for all that is needed.
        ignored: beginnings of published names that have no counterpart.
        method: named in the error.

    Returns:
        Our names to tensors.

    Raises:
        ValueError: listing all names that are missing or unexpected.
    """
    found = {name.removeprefix("module."): value for name, value in state.items()}
    missing = sorted(set(names) - set(found))
    unexpected = sorted(name for name in found if name not in names and not name.startswith(ignored))
    if missing or unexpected:
        raise ValueError(f"this is not a {method} checkpoint: missing {missing}; unexpected {unexpected}")
    return {ours: found[theirs] for theirs, ours in names.items()}
