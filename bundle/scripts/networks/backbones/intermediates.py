# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Networks that can't be cut off: they run as a whole, up to the deepest level, and see images of sizes that suit them.

Windows, patches and tables of positions want sides of certain lengths. An image of another size is resized to the next
one that the network takes, so that its maps show the whole image, at a resolution of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .frozen_backbone import LEVELS, TimmBackbone

__all__ = ["IntermediateBackbone", "TransformerBackbone", "depth_indices", "fitting_size", "suitable_sides"]


class IntermediateBackbone(TimmBackbone):
    """A frozen timm network that offers its maps through ``forward_intermediates``.

    Args:
        network: a timm model with ``forward_intermediates``.
        name: see :class:`TimmBackbone`.
        indices: level -> number of its map, in the order of the network.
        mean: per channel, of images in [0, 1].
        std: per channel.
        multiple: the sides of an image must be multiples of it; others are resized to the next one.
        fixed_size: the one (height, width) that the network takes, or None.
        normalises: whether every map passes the network's last norm, as the maps of plain transformers do.
        missing: names of parameters that the weight file lacked.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        indices: Mapping[str, int],
        mean: Sequence[float],
        std: Sequence[float],
        multiple: int = 1,
        fixed_size: tuple[int, int] | None = None,
        normalises: bool = False,
        missing: Sequence[str] = (),
    ) -> None:
        self.multiple = multiple
        self.fixed_size = fixed_size
        self.normalises = normalises
        stages = {level: [str(index)] for level, index in indices.items()}
        super().__init__(network, name=name, stages=stages, mean=mean, std=std, missing=missing)

    def _prepare(self, network: nn.Module) -> nn.Module:
        return network

    def _extract(self, levels: Sequence[str]) -> nn.Module:
        indices = {level: int(self._modules_of_level[level]) for level in levels}
        return _Intermediates(self._source[0], indices, self.multiple, self.fixed_size, self.normalises)

    def _measure_channels(self, network: nn.Module) -> dict[str, int]:
        body = self._extract(list(self._modules_of_level))
        with torch.no_grad():
            return {level: maps.shape[1] for level, maps in body(torch.zeros(1, 3, 64, 64)).items()}

    def _lacking(self, levels: Sequence[str]) -> list[str]:
        if not self._missing:
            return []
        called: set[str] = {""}  # what the network holds itself: embeddings of positions and classes
        network: nn.Module = self._source[0]
        hooks = [
            module.register_forward_pre_hook(lambda _module, _inputs, name=name: called.add(name))
            for name, module in network.named_modules()
        ]
        with torch.no_grad():
            self._extract(levels)(torch.zeros(1, 3, 64, 64))
        for hook in hooks:
            hook.remove()
        return [key for key in self._missing if key.rpartition(".")[0] in called]


class TransformerBackbone(IntermediateBackbone):
    """A plain vision transformer (ViT, DINOv2, ...), whose levels differ in depth, not in stride.

    Its levels are the token maps after a quarter, half, three quarters and all blocks.

    Args:
        network: a timm model with ``blocks`` and ``forward_intermediates``.
        name: shown in reports and stored in checkpoints.
        mean: per channel, of images in [0, 1].
        std: per channel.
        multiple: side of a patch.
        fixed_size: see :class:`IntermediateBackbone`.
        missing: names of parameters that the weight file lacked.
    """

    def __init__(
        self,
        network: Any,
        *,
        name: str,
        mean: Sequence[float],
        std: Sequence[float],
        multiple: int = 1,
        fixed_size: tuple[int, int] | None = None,
        missing: Sequence[str] = (),
    ) -> None:
        super().__init__(
            network,
            name=name,
            indices=depth_indices(len(network.blocks)),
            mean=mean,
            std=std,
            multiple=multiple,
            fixed_size=fixed_size,
            normalises=True,
            missing=missing,
        )


def depth_indices(depth: int) -> dict[str, int]:
    """Level -> block after a quarter, half, three quarters and all of a transformer's blocks."""
    return {level: max(1, depth * (i + 1) // 4) - 1 for i, level in enumerate(LEVELS)}


def fitting_size(height: int, width: int, multiple: int, fixed_size: tuple[int, int] | None) -> tuple[int, int]:
    """Height and width at which a network sees an image: the next multiples, or the one size that it takes."""
    if fixed_size is not None:
        return fixed_size
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def suitable_sides(
    network: Any, indices: Mapping[str, int], multiples: Sequence[int], native_size: tuple[int, int], name: str
) -> tuple[int, tuple[int, int] | None]:
    """Try out which images a network takes.

    Args:
        network: a timm model with ``forward_intermediates``.
        indices: level -> number of its map.
        multiples: to be tried in turn.
        native_size: the size that it was made for.
        name: told in the error.

    Returns:
        The first multiple that does, or, when none does, 1 and the native size as the only one.

    Raises:
        ValueError: when the network doesn't take its native size either.
    """
    reason: Exception | None = None
    attempts: list[tuple[int, tuple[int, int] | None]] = [(multiple, None) for multiple in multiples]
    for multiple, fixed in [*attempts, (1, native_size)]:
        sides = -(-64 // multiple) * multiple
        body = _Intermediates(network, indices, multiple, fixed)
        try:
            with torch.no_grad():
                maps = body(torch.zeros(1, 3, sides, sides + multiple))
        except Exception as error:  # timm's networks refuse a size in many ways
            reason = error
            continue
        if all(each.ndim == 4 for each in maps.values()):
            return multiple, fixed
    raise ValueError(
        f"timm model {name!r} gives no maps of images of {native_size[0]} x {native_size[1]} px, which it was made for"
        + (f": {type(reason).__name__}: {reason}" if reason else "")
    )


class _Intermediates(nn.Module):
    """The network up to its deepest level."""

    def __init__(
        self,
        network: Any,
        indices: Mapping[str, int],
        multiple: int,
        fixed_size: tuple[int, int] | None,
        normalises: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.indices = dict(indices)
        self.multiple = multiple
        self.fixed_size = fixed_size
        self.normalises = normalises

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        size = fitting_size(image.shape[-2], image.shape[-1], self.multiple, self.fixed_size)
        if size != tuple(image.shape[-2:]):
            image = F.interpolate(image, size, mode="bilinear", align_corners=False)
        maps: list[Tensor] = self.network.forward_intermediates(
            image,
            indices=list(self.indices.values()),
            norm=self.normalises,
            stop_early=True,
            intermediates_only=True,
            output_fmt="NCHW",
        )
        return dict(zip(self.indices, maps, strict=True))
