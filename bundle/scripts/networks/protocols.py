# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the segmenter asks of its parts, and they of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor, nn

if TYPE_CHECKING:
    from .hosts.base import Host

__all__ = ["Backbone", "FeatureSource", "Refinement", "TunedSegmenter"]


class Backbone(Protocol):
    """An image's maps, by level; in practice a module."""

    name: str
    """of network and geometry: stored in checkpoints."""
    channels: dict[str, int]
    """width of every level."""

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """Compute {level: (B, C, h, w)} of images (B, 3, H, W), RGB in [0, 1]."""

    def select(self, levels: Sequence[str]) -> Backbone:
        """Keep the part of the network that the given levels need."""

    def fingerprint(self) -> str:
        """Identify weights and preprocessing, for caches."""

    def modules(self) -> Iterator[nn.Module]:
        """Iterate over the modules, as ``nn.Module`` does."""


class Refinement(Protocol):
    """Better logits from a host's, with the image they belong to."""

    logit_size: tuple[int, int] | None = None
    """where it wants the host's logits, resized by the host's own rule; None, or no such attribute: the host's grid."""

    def encode(self, support_image: Tensor, support_label: Tensor) -> Any:
        """Describe the support: (B, K, 3, H, W) and (B, K, 1, H', W') -> a NamedTuple of tensors, B in front."""

    def __call__(self, logits: Tensor, image: Tensor, prompt: Any) -> Tensor:
        """Refine logits (B, 2, *logit_size) of images (B, 3, H, W): (B, 2, h, w), resized half-pixel-centred."""


@runtime_checkable
class FeatureSource(Protocol):
    """Anything that has the features of images, a segmenter for example."""

    def features(self, image: Tensor, /) -> dict[str, Tensor]:
        """Compute {level: (B, C, h, w)} of images (B, 3, H, W), RGB in [0, 1]."""
        ...


class TunedSegmenter(FeatureSource, Protocol):
    """What an adaptation sees of the segmenter: its host, and the features of an image."""

    host: Host
    """what is tuned."""
