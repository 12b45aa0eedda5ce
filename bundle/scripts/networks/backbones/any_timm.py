# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Any timm network by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from .frozen_backbone import NOMINAL_STRIDES, TimmBackbone, extract
from .intermediates import IntermediateBackbone, TransformerBackbone, depth_indices, suitable_sides
from .weights import load_by_name

__all__ = ["timm_backbone"]

_SIZE_OPTIONS: tuple[dict[str, Any], ...] = ({"strict_img_size": False}, {"dynamic_img_size": True}, {})
"""Under which names timm's classes can be told that images come in several sizes."""


def timm_backbone(
    name: str, weights: str | Path | None = None, *, pretrained: bool = True, output_stride: int | None = None
) -> TimmBackbone:
    """Any timm network by name.

    A network that takes only certain sizes (patches of 14 px, windows, tables of positions) sees an image resized to
    the next one; its maps then show the whole image all the same.

    Args:
        name: a timm model name, for example ``convnext_tiny`` or ``vit_small_patch14_dinov2``.
        weights: a local ``.safetensors`` or ``.pth`` file; it may stop before the last stage or block, then levels that
            need more cannot be selected. None downloads timm's weights.
        pretrained: False leaves the network at its random start (tests).
        output_stride: 32, 16 or 8 where the network supports dilation; None leaves it as it is.

    Returns:
        The backbone with those of the levels c2 to c5 that the network has.

    Raises:
        ValueError: for an unknown name, a network without maps at such strides, or one that can't be used, saying why.
    """
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:5]
        raise ValueError(f"timm has no model {name!r}" + (f"; near: {near}" if near else ""))
    network = _create(name, pretrained=pretrained and weights is None, output_stride=output_stride)
    missing = load_by_name(network, weights) if weights is not None else []
    network.eval().requires_grad_(False)
    config = network.pretrained_cfg
    common: dict[str, Any] = {"mean": config["mean"], "std": config["std"], "missing": missing}
    shown = name + ("" if output_stride is None else f", output stride {output_stride}")
    infos: list[dict[str, Any]] = [dict(each) for each in getattr(network, "feature_info", None) or []]
    has_intermediates = hasattr(network, "forward_intermediates")
    native = (int(config["input_size"][1]), int(config["input_size"][2]))
    if has_intermediates and hasattr(network, "blocks") and len({info["reduction"] for info in infos}) == 1:
        patch = int(infos[0]["reduction"])
        multiple, fixed = suitable_sides(network, depth_indices(len(network.blocks)), [patch], native, name)
        return TransformerBackbone(network, name=shown, multiple=multiple, fixed_size=fixed, **common)

    # The last map at a stride gives its level; a dilated network keeps its nominal ones.
    found = {stride: index for index, stride in enumerate(info["reduction"] for info in _plain(name, infos))}
    numbers = {level: found[stride] for level, stride in NOMINAL_STRIDES.items() if stride in found}
    if not numbers:
        raise ValueError(f"timm model {name!r} has no map at stride 4, 8, 16 or 32")
    modules = {level: str(infos[index].get("module", "")) for level, index in numbers.items()}
    if _can_be_cut(network, modules, {level: int(infos[index]["num_chs"]) for level, index in numbers.items()}):
        stages = {level: [module] for level, module in modules.items()}
        return TimmBackbone(network, name=shown, stages=stages, **common)
    if not has_intermediates:
        raise ValueError(
            f"timm model {name!r} can't be cut into levels: it can neither be traced nor gives its maps by itself "
            "(forward_intermediates)"
        )
    multiple, fixed = suitable_sides(network, numbers, [32, native[0]], native, name)
    return IntermediateBackbone(network, name=shown, indices=numbers, multiple=multiple, fixed_size=fixed, **common)


def _create(name: str, *, pretrained: bool, output_stride: int | None) -> Any:
    """Make the network, for images of any size where its class knows of that."""
    stride: dict[str, Any] = {} if output_stride is None else {"output_stride": output_stride}
    for options in _SIZE_OPTIONS[:-1]:
        try:
            return timm.create_model(name, pretrained=pretrained, **options, **stride)
        except TypeError:  # the class doesn't know the option
            continue
    return timm.create_model(name, pretrained=pretrained, **stride)


def _can_be_cut(network: nn.Module, modules: Mapping[str, str], channels: Mapping[str, int]) -> bool:
    """Whether the network can be traced up to its levels, and takes images of any size there."""
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, 96, 64))
            part = extract(network, {module: level for level, module in modules.items()})
            maps = part(torch.zeros(1, 3, 96, 64))
        return all(each.ndim == 4 and each.shape[1] == channels[level] for level, each in maps.items())
    except Exception:  # tracing fails in many ways; what can't be cut runs as a whole
        return False


def _plain(name: str, infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not infos:
        raise ValueError(f"timm model {name!r} doesn't say which maps it has (feature_info): choose another")
    return infos
