# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Features of all slices of a volume: from the cache, or through the backbone once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ...networks.protocols import FeatureSource
from ..propagation.evidence.slice_features import FeatureFunction, extract_features
from ..propagation.memory.feature_cache import feature_key, fingerprint_of, load_features, save_features, volume_digest
from .default_backbone import DefaultBackbone
from .slices import ScaledSlices

__all__ = ["SliceEncoder"]

logger = logging.getLogger(__name__)

_BATCH_SIZES = {"cuda": 16}
_BATCH_SIZE = 2


class SliceEncoder:
    """Computes features, or reads them.

    Args:
        levels: backbone levels.
        image_size: side of the square that the backbone sees.
        segmenter: gives features; EfficientNet-Lite2 if None.
        device: where slices are encoded. None: where the segmenter is; for the default backbone CUDA where there is
            one, else the CPU.
        batch_size: slices per backbone pass; 2, on CUDA 16, if None.
        cache_dir: folder that keeps the features; None keeps none.
    """

    def __init__(
        self,
        levels: Sequence[str],
        image_size: int,
        *,
        segmenter: FeatureSource | FeatureFunction | None = None,
        device: torch.device | str | None = None,
        batch_size: int | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        self.levels = tuple(levels)
        self.image_size = image_size
        self.cache_dir = cache_dir
        if segmenter is None:
            self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
            segmenter = DefaultBackbone(self.levels, device=self.device, notes=cache_dir)
        else:
            self.device = torch.device(device or _device_of(segmenter))
            if isinstance(segmenter, torch.nn.Module) and device is not None:
                segmenter.to(self.device)
        self.segmenter = segmenter
        self.batch_size = batch_size or _BATCH_SIZES.get(self.device.type, _BATCH_SIZE)

    def encode(
        self, slices: NDArray[Any], low: float, high: float, progress: Callable[[int, int], None] | None = None
    ) -> dict[str, Tensor]:
        """Features of slices.

        Args:
            slices: (Z, H, W), any unit.
            low: intensity that becomes 0.
            high: intensity that becomes 1.
            progress: called with (slices done, slices in all) where the backbone runs.

        Returns:
            ``{level: (Z, C, h, w)}``, float16, on the CPU.
        """
        key = None
        if self.cache_dir is not None:
            fingerprint = fingerprint_of(self.segmenter)
            key = feature_key(volume_digest(slices), fingerprint, self.levels, self.image_size, low, high)
            features = load_features(self.cache_dir, key)
            if features is not None:
                return features
        features = extract_features(
            ScaledSlices(slices, low, high),
            self.segmenter,
            self.levels,
            self.image_size,
            batch_size=self.batch_size,
            device=self.device,
            progress=progress,
        )
        if self.cache_dir is not None and key is not None:
            try:
                save_features(self.cache_dir, key, features)
            except OSError as error:  # the answer doesn't need them
                logger.warning("features are not kept in cache_dir: %s", error)
        return features


def _device_of(segmenter: FeatureSource | FeatureFunction) -> torch.device:
    parameter = next(segmenter.parameters(), None) if isinstance(segmenter, torch.nn.Module) else None
    return torch.device("cpu") if parameter is None else parameter.device
