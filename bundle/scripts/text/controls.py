# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Controls for the question whether the words matter: the same sentence for all, exchanged, reduced, or noise.

A network that is trained or tested with one of these and does as well as with the true sentences does not use them.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import torch
from torch import Tensor

from .encoders import TextEncoder
from .prompts import Prompts

__all__ = ["RandomVectors", "constant_text", "name_only", "shuffle_classes"]


def constant_text(prompts: Prompts, sentence: str = "A photo of an object.") -> Prompts:
    """Give every class the same sentence."""
    return prompts._replace(sentences={name: [sentence] for name in prompts.sentences})


def name_only(prompts: Prompts) -> Prompts:
    """Drop the visual description: ``A photo of {class}.``"""
    sentences = {name: [f"A photo of {name}."] for name in prompts.sentences}
    return prompts._replace(sentences=sentences, background="A photo of background.")


def shuffle_classes(prompts: Prompts, seed: int = 0) -> Prompts:
    """Give every class the sentences of another, each to one.

    Raises:
        ValueError: when there is only one class.
    """
    names = list(prompts.sentences)
    if len(names) < 2:
        raise ValueError(f"{prompts.dataset} describes one class, {', '.join(names)}: there is none to exchange with")
    generator = random.Random(seed)
    order = generator.sample(names, len(names))  # a random cycle, so that no class keeps its own
    giver = dict(zip(order, order[1:] + order[:1], strict=True))
    return prompts._replace(sentences={name: prompts.sentences[giver[name]] for name in names})


class RandomVectors:
    """An encoder that keeps only mean, spread and so length of each embedding; its direction is drawn by seed and
    sentence.

    Args:
        encoder: whose statistics are kept.
        seed: another one gives other vectors.
    """

    def __init__(self, encoder: TextEncoder, seed: int = 0) -> None:
        self.encoder = encoder
        self.seed = seed
        self.name = f"random {seed} like {encoder.name}"

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.encoder.dim

    @property
    def fingerprint(self) -> str:
        """Hash of the encoder's weights."""
        return self.encoder.fingerprint

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """(N, dim) float32, or (N, T, dim) where the encoder gives tokens."""
        rows = self.encoder.encode(sentences)
        return torch.stack([self._redraw(row, sentence) for row, sentence in zip(rows, sentences, strict=True)])

    def _redraw(self, row: Tensor, sentence: str) -> Tensor:
        digest = hashlib.sha256(f"{self.seed}\n{sentence}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        noise = torch.randn(row.shape, generator=generator)
        noise_std, noise_mean = torch.std_mean(noise, dim=-1, correction=0, keepdim=True)
        std, mean = torch.std_mean(row, dim=-1, correction=0, keepdim=True)
        return (noise - noise_mean) / noise_std * std + mean  # a padding of zeros stays one
