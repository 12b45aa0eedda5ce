# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Frozen image backbones through timm, cut off after the deepest level that is asked for.

Levels carry the names of feature pyramids (Lin et al., CVPR 2017): ``c2``, ``c3``, ``c4``, ``c5`` are the last maps at
nominal stride 4, 8, 16, 32. A dilated network keeps these names although its strides are smaller. ``c4.2`` is the
output of block 2 within the stage that ends in ``c4``, for hosts that match block by block (PATNet, DMTNet).

A backbone takes RGB images in [0, 1] and normalises them itself, so that nobody else has to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from timm.models import create_feature_extractor
from torch import Tensor, nn

from .fold_batch_norm import fold_batch_norm

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "LEVELS", "NOMINAL_STRIDES", "TimmBackbone", "extract"]

LEVELS = ("c2", "c3", "c4", "c5")
NOMINAL_STRIDES = {"c2": 4, "c3": 8, "c4": 16, "c5": 32}
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class TimmBackbone(nn.Module):
    """A frozen timm network that returns named levels.

    Batch norm is folded into the convolutions, weights lie channels-last, no gradient is kept and ``train()`` leaves
    the network in evaluation mode.

    Args:
        network: a timm model that carries its weights.
        name: of network and geometry, such as its strides: shown in reports, stored in checkpoints and, with the two
            kinds of ReLU below, what tells cached features apart.
        stages: level name -> sequence of module names, the blocks of that level's stage in order; the last one gives
            the level itself, the others ``<level>.<index>``.
        mean: per channel, of images in [0, 1].
        std: per channel.
        last_relu: whether the deepest selected level ends in its activation. IFA takes the map before it.
        block_relu: whether every selected level does; PATNet and DMTNet take the sum before it. Residual networks only.
        missing: names of parameters that the weight file lacked; selecting a level that needs one is an error.

    Attributes:
        channels: width of every level, ``{"c4": 120, "c4.0": 120, ...}``.
        levels: the selected levels, in the order of the network.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        stages: Mapping[str, Sequence[str]],
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        last_relu: bool = True,
        block_relu: bool = True,
        missing: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.name = name + ("" if last_relu else ", no last ReLU") + ("" if block_relu else ", sums before ReLU")
        self.last_relu = last_relu
        self.block_relu = block_relu
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        network = self._prepare(network.eval().requires_grad_(False))
        # Kept outside the module tree: the state must hold the selected part alone.
        self._source: list[Any] = [network.to(memory_format=torch.channels_last)]
        self._modules_of_level = _modules_of_levels(stages)
        self._missing = tuple(missing)
        self.channels = self._measure_channels(network)
        loaded = [level for level in LEVELS if level in self._modules_of_level and self._is_loaded(level)]
        self.select(loaded or [level for level in LEVELS if level in self._modules_of_level][:1])

    def select(self, levels: Sequence[str]) -> TimmBackbone:
        """Keep the part of the network that the given levels need.

        Args:
            levels: names such as ``c4`` or ``c4.2``.

        Returns:
            The backbone itself.

        Raises:
            ValueError: for an unknown level, an empty selection, or a level whose weights the file lacked.
        """
        unknown = [level for level in levels if level not in self._modules_of_level]
        if unknown or not levels:
            plain = [level for level in self._modules_of_level if "." not in level]
            raise ValueError(
                f"backbone {self.name} has no level {unknown or '(none given)'}; it has {plain} and their blocks"
            )
        order = list(self._modules_of_level)
        self.levels = tuple(sorted(set(levels), key=order.index))
        self.body = self._extract(self.levels)
        lacking = self._lacking(self.levels)
        if lacking:
            raise ValueError(
                f"levels {list(self.levels)} of {self.name} need weights that the file lacks: {lacking[0]} and "
                f"{len(lacking) - 1} more; choose shallower levels or another file"
            )
        return self

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Compute the selected levels.

        Args:
            image: (B, 3, H, W) RGB in [0, 1].

        Returns:
            ``{level: (B, C, h, w)}``.
        """
        with torch.no_grad():
            image = (image - self.mean) / self.std
            maps: dict[str, Tensor] = self.body(image.contiguous(memory_format=torch.channels_last))
        return maps

    def train(self, mode: bool = True) -> TimmBackbone:
        """Stay in evaluation mode: a frozen backbone has no training behaviour."""
        return super().train(False)

    def fingerprint(self) -> str:
        """Identify weights and preprocessing: the part of a feature's cache key that belongs to the network.

        The selected levels don't count, so that hosts which want different ones share a cache, unless they decide what
        a level is (``last_relu`` off).

        Returns:
            A hexadecimal SHA-256.
        """
        levels = "" if self.last_relu else str(self.levels)
        digest = hashlib.sha256(f"{self.name} {levels}".encode())
        tensors = {**self._source[0].state_dict(), "mean": self.mean, "std": self.std}
        for key, value in tensors.items():
            if key in self._missing:
                continue
            digest.update(key.encode())
            digest.update(value.detach().cpu().contiguous().float().numpy().tobytes())
        return digest.hexdigest()

    def level_state(self, level: str) -> dict[str, Tensor]:
        """Tensors that a level needs, under the names that they have in ``body``."""
        return self._extract((level,)).state_dict()

    def _prepare(self, network: nn.Module) -> nn.Module:
        fold_batch_norm(network)
        return network

    def _is_loaded(self, level: str) -> bool:
        return not self._missing or not self._lacking((level,))

    def _lacking(self, levels: Sequence[str]) -> list[str]:
        """Weights that the levels need and the file lacked."""
        if not self._missing:
            return []
        needed = set(self._extract(levels).state_dict())
        return [key for key in self._missing if key in needed]

    def _measure_channels(self, network: nn.Module) -> dict[str, int]:
        """Width of every level, from one small image."""
        widths: dict[str, int] = {}
        hooks = [
            network.get_submodule(module).register_forward_hook(
                lambda _module, _inputs, output, level=level: widths.__setitem__(level, output.shape[1])
            )
            for level, module in self._modules_of_level.items()
        ]
        with torch.no_grad():
            network(torch.zeros(1, 3, 64, 64))
        for hook in hooks:
            hook.remove()
        return {level: widths[level] for level in self._modules_of_level}

    def _extract(self, levels: Sequence[str]) -> nn.Module:
        network = self._source[0]
        modules = {level: self._modules_of_level[level] for level in levels}
        if not self.block_relu:
            for module in modules.values():
                network.get_submodule(module).act3.inplace = False  # it would overwrite the sum
            return extract(network, {f"{module}.add": level for level, module in modules.items()})
        if self.last_relu:
            return extract(network, {module: level for level, module in modules.items()})
        deepest = network.get_submodule(modules[levels[-1]])
        activation, deepest.act3 = deepest.act3, nn.Identity()
        try:
            return extract(network, {module: level for level, module in modules.items()})
        finally:
            deepest.act3 = activation


def extract(network: nn.Module, levels: Mapping[str, str]) -> nn.Module:
    """Cut a network off behind the deepest of some modules: {module: level} -> a module that returns {level: map}."""
    part: nn.Module = create_feature_extractor(network, dict(levels))
    return part


def _modules_of_levels(stages: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Level name -> module name, in the order of the network."""
    modules: dict[str, str] = {}
    for level, blocks in stages.items():
        modules.update({f"{level}.{i}": block for i, block in enumerate(blocks[:-1])})
        modules[level] = blocks[-1]
    return modules
