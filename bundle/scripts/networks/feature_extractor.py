# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The segmenter's first step by itself."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from .prompt import IMAGE, Features
from .segmenter import Segmenter

__all__ = ["FeatureExtractor"]


class FeatureExtractor:
    """The segmenter's first step by itself, for transforms that cache features.

    Args:
        segmenter: whose features are computed; its backbone is frozen.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter
        self.levels: tuple[str, ...] = tuple(segmenter.host.levels) + ((IMAGE,) if segmenter.keeps_images() else ())

    def __call__(self, image: Tensor) -> Features:
        """Compute {level: (B, C, h, w)} of images (B, 3, H, W)."""
        return self.segmenter.features(image)

    def modules(self) -> Iterator[nn.Module]:
        """Iterate over what computes the features: the backbone, not the host."""
        return self.segmenter.backbone.modules()

    def fingerprint(self) -> str:
        """Identify the backbone's weights, levels and preprocessing."""
        return self.segmenter.backbone.fingerprint()
