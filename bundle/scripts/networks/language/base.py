# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the networks have in common that segment what a sentence asks for: sentence and image in, logits out.

An image is encoded once (``encode_image``) as far as that doesn't depend on the words, a sentence once
(``encode_text``); ``decode`` answers from both.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import Self

from ..blocks.logits import resize_logits
from ..hosts.base import TrainingTerm

__all__ = ["AuxiliaryTerm", "LanguageNetwork", "Normalise", "binary_logits", "fingerprint_of"]

Features = dict[str, Tensor]


class AuxiliaryTerm(NamedTuple):
    """A summand of a training loss that is no comparison of logits with a mask."""

    value: Tensor
    """scalar"""
    weight: float
    """its factor in the sum"""


class LanguageNetwork(nn.Module):
    """Base class of the networks that are prompted by words.

    A subclass sets ``name``, ``levels`` (keys of its features), ``text_dim`` and ``align_corners``, and defines:

    - ``encode_image(image) -> features``: (B, 3, H, W) RGB in [0, 1] to {level: (B, ...)}, all that can be computed
      without the words;
    - ``encode_text(states, mask) -> context``: (B, T, D) states of sentences or words and (B, T), true for what is no
      padding, to a NamedTuple of tensors with B in front;
    - ``decode(features, context) -> logits``: (B, 1, h, w) at the network's own grid.
    """

    align_corners: bool = False
    """How logits are brought to the image's size."""

    resize_mode: str = "bilinear"
    """Interpolation that brings them there."""

    takes_examples: bool = False
    """Whether annotated images can be a prompt, beside or instead of words."""

    if TYPE_CHECKING:
        name: str
        levels: tuple[str, ...]
        text_dim: int

    def encode_image(self, image: Tensor) -> Features:
        """Do what doesn't depend on the words; see the class."""
        raise NotImplementedError(f"{type(self).__name__}.encode_image")

    def encode_text(self, states: Tensor, mask: Tensor) -> Any:
        """Condense the words; see the class."""
        raise NotImplementedError(f"{type(self).__name__}.encode_text")

    def encode_examples(self, image: Tensor, label: Tensor, states: Tensor | None, mask: Tensor | None) -> Any:
        """Condense annotated images, with words or without.

        Args:
            image: (B, K, 3, H, W) RGB in [0, 1].
            label: (B, K, 1, H, W) in {0, 1, 255}.
            states: (B, T, D), or None without words.
            mask: (B, T), or None.

        Returns:
            A context, as ``encode_text``.
        """
        raise NotImplementedError(f"{type(self).__name__}.encode_examples")

    def decode(self, features: Features, context: Any) -> Tensor:
        """Answer from features and context; see the class."""
        raise NotImplementedError(f"{type(self).__name__}.decode")

    def training_terms(self, features: Features, context: Any, label: Tensor) -> list[TrainingTerm | AuxiliaryTerm]:
        """List the summands of the training loss; by default the decoded image alone.

        Args:
            features: of ``encode_image``.
            context: of ``encode_text``.
            label: (B, 1, H, W) in {0, 1, 255}.
        """
        return [self.segmentation_term(self.decode(features, context), label)]

    def segmentation_term(self, logits: Tensor, label: Tensor) -> TrainingTerm:
        """Compare logits (B, 1, h, w) with a label (B, 1, H, W), at the label's size."""
        return TrainingTerm(binary_logits(self.upsample(logits, (label.shape[-2], label.shape[-1]))), label, 1.0)

    def upsample(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Bring logits to a size, by this network's rule."""
        return resize_logits(logits, size, self.align_corners, self.resize_mode)

    def image_encoder(self) -> nn.Module:
        """The part that computes features: what must be frozen where features are cached."""
        raise NotImplementedError(f"{type(self).__name__}.image_encoder")

    def train(self, mode: bool = True) -> Self:
        """Switch to training; an image encoder without anything to learn stays in evaluation mode."""
        super().train(mode)
        encoder = self.image_encoder()
        if not any(parameter.requires_grad for parameter in encoder.parameters()):
            encoder.eval()
        return self

    def fingerprint(self) -> str:
        """Identify what computes features: weights, preprocessing and layers."""
        return fingerprint_of(f"{self.name} {' '.join(self.levels)}", self.image_encoder())


class Normalise(nn.Module):
    """RGB in [0, 1] to the mean and deviation that an encoder was trained with.

    Args:
        mean: per channel.
        std: per channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Normalise (B, 3, H, W)."""
        return (image - self.mean) / self.std


def binary_logits(logits: Tensor) -> Tensor:
    """Write the logit of a foreground (B, 1, H, W) as logits of background and foreground (B, 2, H, W).

    Background is zero, so that the softmax of both is the sigmoid of the one.
    """
    return torch.cat([torch.zeros_like(logits), logits], dim=1)


def fingerprint_of(name: str, module: nn.Module) -> str:
    """Hash a name and all parameters and buffers of a module, those that aren't saved included."""
    digest = hashlib.sha256(name.encode())
    for key, value in (*module.named_parameters(), *module.named_buffers()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()
