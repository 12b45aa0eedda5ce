# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Frozen text encoders behind one interface: ``encode(sentences) -> (N, dim)``.

Each has a ``name``, a ``dim`` and a ``fingerprint`` that are known before any weight is loaded, so that embeddings
that were computed once can be told apart and used without the encoder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..files.atomic import write_tensors
from ..files.digest import file_digest

__all__ = [
    "PrecomputedEncoder",
    "TextEncoder",
    "TokenCounter",
    "refuse_long_sentences",
    "save_embeddings",
    "sentence_key",
]


class TextEncoder(Protocol):
    """What an embedding table needs."""

    name: str

    @property
    def dim(self) -> int:
        """Length of an embedding."""

    @property
    def fingerprint(self) -> str:
        """Hash of the weights."""

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Embed N sentences as (N, dim)."""


class TokenCounter(Protocol):
    """What says whether a sentence fits into the context of a text encoder."""

    @property
    def name(self) -> str:
        """Name of the encoder."""

    @property
    def context_length(self) -> int:
        """Tokens that a sentence can have, its start and end included."""

    def count_tokens(self, sentence: str) -> int:
        """Tokens of a sentence, its start and end included."""


class PrecomputedEncoder:
    """Embeddings from a file that `save_embeddings` wrote, whatever encoder made them.

    Args:
        embeddings_file: safetensors, one vector per sentence under `sentence_key`.
    """

    name = "precomputed"

    def __init__(self, embeddings_file: str | Path) -> None:
        self.embeddings_file = Path(embeddings_file).expanduser()
        if not self.embeddings_file.is_file():
            raise FileNotFoundError(
                f"no embeddings {self.embeddings_file}; write them with scripts.text.save_embeddings"
            )

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return next(iter(self._vectors.values())).numel()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the file."""
        return file_digest(self.embeddings_file)

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Look sentences up.

        Returns:
            (N, dim) float32.

        Raises:
            KeyError: when the file lacks one; the message holds the sentence.
        """
        for sentence in sentences:
            if sentence_key(sentence) not in self._vectors:
                raise KeyError(f"{self.embeddings_file} has no embedding of the sentence {sentence!r}")
        return torch.stack([self._vectors[sentence_key(sentence)].float() for sentence in sentences])

    @cached_property
    def _vectors(self) -> dict[str, Tensor]:
        try:
            vectors = load_file(self.embeddings_file)
        except SafetensorError as error:
            raise ValueError(f"{self.embeddings_file} is not a readable safetensors file: {error}") from error
        if not vectors or len({vector.numel() for vector in vectors.values()}) != 1:
            raise ValueError(f"{self.embeddings_file} must hold vectors of one length, one per sentence")
        return vectors


def save_embeddings(path: str | Path, sentences: Sequence[str], encoder: TextEncoder) -> None:
    """Encode sentences into a file for `PrecomputedEncoder`."""
    vectors = encoder.encode(sentences)
    named = {sentence_key(sentence): vector.contiguous() for sentence, vector in zip(sentences, vectors, strict=True)}
    write_tensors(Path(path).expanduser(), named, metadata={"encoder": encoder.name})


def refuse_long_sentences(encoder: TokenCounter, sentences: Sequence[str]) -> None:
    """Refuse sentences that don't fit an encoder's context; it would cut their end off without a word.

    Raises:
        ValueError: with the sentence, its length and the context's.
    """
    for sentence in sentences:
        if (count := encoder.count_tokens(sentence)) > encoder.context_length:
            raise ValueError(
                f"a sentence has {count} tokens, the text encoder {encoder.name} takes {encoder.context_length}: "
                f"{sentence!r}"
            )


def sentence_key(sentence: str) -> str:
    """Hash under which a sentence's embedding is stored."""
    return hashlib.sha256(sentence.encode()).hexdigest()
