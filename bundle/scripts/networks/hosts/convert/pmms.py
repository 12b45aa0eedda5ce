# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Published checkpoints of PMMs and RPMMs under this project's names."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ...blocks.mixture_means import draw_starts
from ..pmms import part_widths
from .hypercorrelation import rename

__all__ = ["convert_pmms", "convert_rpmms", "pmms_names", "rpmms_names"]

_CONVOLUTIONS = {
    "layer55.0": "head.prototypes.unit.conv",
    "layer56.0": "head.smooth.conv",
    "layer6.layer6_0.0": "head.pool.conv",
    **{f"layer6.layer6_{index}.0": f"head.pyramid.{index - 1}.conv" for index in range(1, 5)},
    "layer7.0": "head.merge.conv",
    "layer9": "head.classify",
    **{f"residule{index + 1}.1": f"head.trunk.{index}.first" for index in range(3)},
    **{f"residule{index + 1}.3": f"head.trunk.{index}.second" for index in range(3)},
}
_WHOLE_EMBEDDING = {"layer5.0.weight": "embedding.weight", "layer5.0.bias": "embedding.bias"}
_EMBEDDING_NORM = {"layer5.1": "embedding.norm"}
_HEAD_NORMS = {
    "layer55.1": "head.prototypes.unit.norm",
    "layer56.1": "head.smooth.norm",
    "layer7.1": "head.merge.norm",
}
_KINDS = ("weight", "bias")
_NORM_KINDS = (*_KINDS, "running_mean", "running_var")
_BACKBONE = ("model_res.",)  # has a file of its own here


def pmms_names() -> dict[str, str]:
    """Map every published parameter name of PMMs' head, norms included, to ours.

    ``embedding.weight`` stands for all parts ``embedding.weights.0``, ``embedding.weights.1``, ...
    """
    return _names({**_EMBEDDING_NORM, **_HEAD_NORMS})


def rpmms_names() -> dict[str, str]:
    """Map every published parameter name of RPMMs' head to ours; see :func:`pmms_names`."""
    return _names(_EMBEDDING_NORM)


def convert_pmms(state: Mapping[str, Tensor], start: Tensor | None = None) -> dict[str, Tensor]:
    """Rename a published PMMs (ResNet-50) state for the host ``pmms``.

    Args:
        state: as in the public repository; a prefix ``module.`` is dropped.
        start: (3, C) means that the expectation maximisation starts from, which the public code does not save; None
            takes this host's own.

    Returns:
        State of :class:`scripts.networks.hosts.PMMs` without guidance.

    Raises:
        ValueError: listing all names that are missing or unexpected.
    """
    return _convert(state, pmms_names(), start, [3], "PMMs")


def convert_rpmms(state: Mapping[str, Tensor], start: Tensor | None = None) -> dict[str, Tensor]:
    """Rename a published RPMMs (ResNet-50) state for the host ``rpmms``.

    Args:
        state: as in the public repository; a prefix ``module.`` is dropped.
        start: (10, C), the starts of 1, 3 and 6 means one after another; see :func:`convert_pmms`.

    Returns:
        State of :class:`scripts.networks.hosts.RPMMs` without guidance.

    Raises:
        ValueError: listing all names that are missing or unexpected.
    """
    return _convert(state, rpmms_names(), start, [1, 3, 6], "RPMMs")


def _names(norms: Mapping[str, str]) -> dict[str, str]:
    names = {f"{theirs}.{kind}": f"{ours}.{kind}" for theirs, ours in norms.items() for kind in _NORM_KINDS}
    names |= {f"{theirs}.{kind}": f"{ours}.{kind}" for theirs, ours in _CONVOLUTIONS.items() for kind in _KINDS}
    return names | _WHOLE_EMBEDDING


def _convert(
    state: Mapping[str, Tensor], names: Mapping[str, str], start: Tensor | None, counts: list[int], method: str
) -> dict[str, Tensor]:
    means = [name.removesuffix("running_mean") for name in names if name.endswith("running_mean")]
    counters = tuple(f"{norm}num_batches_tracked" for norm in means)
    converted = rename(state, names, ignored=(*_BACKBONE, *counters), method=method)
    weight = converted.pop("embedding.weight")
    layer2 = weight.shape[1] // 3  # layer3 has twice its channels
    for index, part in enumerate(weight.split(part_widths([layer2, 2 * layer2]), dim=1)):
        converted[f"embedding.weights.{index}"] = part
    # How often a norm was updated plays no part where its momentum is fixed.
    for norm in means:
        converted[names[f"{norm}weight"].removesuffix("weight") + "num_batches_tracked"] = torch.tensor(0)
    if start is None:
        start = draw_starts(converted["head.classify.weight"].shape[1], counts, torch.Generator().manual_seed(0))
    return {**converted, "start": start}
