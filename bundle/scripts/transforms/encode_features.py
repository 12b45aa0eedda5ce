# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Features of a frozen backbone in place of the image, kept on disk between runs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Hashable, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.config.type_definitions import KeysCollection
from monai.transforms.transform import MapTransform
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..files.atomic import write_tensors

__all__ = ["EncodeFeaturesd"]

# Parts whose output is another one in training mode.
_CHANGING = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)

logger = logging.getLogger(__name__)


class EncodeFeaturesd(MapTransform):
    """Replace an image (3, S, S) by ``{level: (C, h, w) float16}``, computed once.

    Inside MONAI's ``CacheDataset`` the features stay in memory; with `cache_dir` they also stay on disk, one file per
    image. The name of the file is a hash of the backbone's fingerprint and the image as it enters the backbone: other
    weights, another preprocessing, size or flip is another file. Levels that a file lacks are added to it, so that
    hosts which want different ones share it.

    Args:
        keys: images.
        backbone: frozen; ``backbone(image (1, 3, S, S)) -> {level: (1, C, h, w)}``, with
            ``fingerprint() -> str`` and the names of the selected ``levels``.
        cache_dir: folder for the features; None keeps them off the disk.
        device: where the backbone is; images are sent there, features come back to the CPU. None: the CPU.
        allow_missing_keys: see MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection,
        backbone: Any,
        cache_dir: str | Path | None = None,
        device: str | torch.device | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.backbone = backbone
        self.device = device
        self.cache_dir = None if cache_dir is None else Path(cache_dir).expanduser()
        self._fingerprint: str | None = None

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the images."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self._features(torch.as_tensor(result[key]).contiguous())
        return result

    def feature_file(self, image: Tensor) -> Path | None:
        """Where the features of a preprocessed image lie on disk; None without a `cache_dir`."""
        if self.cache_dir is None:
            return None
        if self._fingerprint is None:
            self._fingerprint = self.backbone.fingerprint()
        digest = hashlib.sha256(f"{self._fingerprint} {tuple(image.shape)} {image.dtype} ".encode())
        digest.update(image.numpy().tobytes())
        name = digest.hexdigest()
        return self.cache_dir / name[:2] / f"{name}.safetensors"

    def _features(self, image: Tensor) -> dict[str, Tensor]:
        file = self.feature_file(image)
        if file is None:
            return self._encode(image)
        wanted = set(self.backbone.levels)
        if file.is_file():
            stored = _read(file, wanted)
            if set(stored) == wanted:
                return stored
        features = self._encode(image)
        everything = {**(_read(file) if file.is_file() else {}), **features}
        try:
            write_tensors(file, everything)
        except OSError as error:
            raise OSError(f"can't write features to {self.cache_dir} ({error}); is the disk full?") from error
        return features

    @torch.no_grad()
    def _encode(self, image: Tensor) -> dict[str, Tensor]:
        parts = list(self.backbone.modules()) if hasattr(self.backbone, "modules") else []
        if any(isinstance(part, _CHANGING) and part.training for part in parts):
            raise ValueError("only features of a frozen backbone in eval mode can be cached; call backbone.eval()")
        if any(parameter.requires_grad for part in parts for parameter in part.parameters(recurse=False)):
            raise ValueError(
                "only features of a frozen backbone can be cached, and this one trains; feed images: "
                "encode_transforms [], as configs/recipes/train_backbone.json says"
            )
        batch = image[None] if self.device is None else image[None].to(self.device)
        levels = self.backbone(batch)
        return {level: maps[0].to("cpu", torch.float16).contiguous() for level, maps in levels.items()}


def _read(file: Path, wanted: Collection[str] | None = None) -> dict[str, Tensor]:
    """Read those of the wanted levels that a file holds (None: all); nothing from a damaged one."""
    try:
        with safe_open(file, framework="pt") as content:
            held = content.keys()
            return {level: content.get_tensor(level) for level in held if wanted is None or level in wanted}
    except (SafetensorError, OSError) as error:
        logger.warning("%s is damaged (%s); its features are computed again", file, error)
        return {}
