# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Embeddings of all classes, computed once and kept on disk."""

from __future__ import annotations

import difflib
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..files.atomic import write_tensors
from .encoders import TextEncoder
from .prompts import Prompts, read_prompts

__all__ = ["EmbeddingTable", "embedding_table"]

logger = logging.getLogger(__name__)


class EmbeddingTable:
    """Class name -> (T, D), the tokens of all sentences of a class.

    A sentence is one token, or several if the encoder gives token states. T is the same for all classes: where a class
    has fewer, rows of zeros follow, which the text guidance takes for padding.

    Nothing is encoded before the first look-up; then all sentences are, at once. With a `cache_file` they are encoded
    once for all runs, and the encoder isn't loaded again.

    Args:
        sentences: class name -> a sentence, or several.
        encoder: frozen text encoder.
        background_sentence: describes what belongs to no class.
        cache_file: safetensors file; entries carry the encoder's name, its weights' hash and the sentence.
        source: where the sentences come from, for messages.
    """

    def __init__(
        self,
        sentences: Mapping[str, str | Sequence[str]],
        encoder: TextEncoder,
        background_sentence: str,
        cache_file: str | Path | None = None,
        source: str = "the table",
    ) -> None:
        self.sentences = {name: [own] if isinstance(own, str) else list(own) for name, own in sentences.items()}
        without = [name for name, own in self.sentences.items() if not own]
        if without or not self.sentences:
            raise ValueError(f"every class in {source} needs a sentence; without: {', '.join(without) or 'all'}")
        self.encoder = encoder
        self.background_sentence = background_sentence
        self.cache_file = None if cache_file is None else Path(cache_file).expanduser()
        self.source = source
        self._vectors: dict[str, Tensor] | None = None

    @property
    def dim(self) -> int:
        """D; known without encoding."""
        return self.encoder.dim

    @property
    def encoder_name(self) -> str:
        """Name of the encoder."""
        return self.encoder.name

    @property
    def fingerprint(self) -> str:
        """Hash of encoder, sentences and classes: known without encoding."""
        digest = hashlib.sha256(self._key(self.background_sentence).encode())
        for name, own in sorted(self.sentences.items()):
            digest.update("\n".join((name, *map(self._key, own), "")).encode())
        return digest.hexdigest()

    @property
    def background(self) -> Tensor:
        """(D,) embedding of the background sentence, or (T, D) of its tokens, without padding."""
        rows = self._all_vectors()[self.background_sentence]
        return rows[0] if rows.shape[0] == 1 else rows

    @property
    def num_tokens(self) -> int:
        """Most tokens that a class, or the background, has."""
        vectors = self._all_vectors()
        return max(self._class_tokens, vectors[self.background_sentence].shape[0])

    def __getitem__(self, class_name: str) -> Tensor:
        """(T, D) embeddings of a class, padded with zeros; a KeyError gives the nearest names when it has none."""
        if class_name not in self.sentences:
            near = difflib.get_close_matches(class_name, self.sentences, n=3, cutoff=0.4)
            hint = f"nearest: {', '.join(near)}" if near else f"described are: {', '.join(self.sentences)}"
            raise KeyError(f"no description of class {class_name!r} in {self.source}; {hint}")
        vectors = self._all_vectors()
        rows = torch.cat([vectors[sentence] for sentence in self.sentences[class_name]])
        return torch.cat([rows, rows.new_zeros(self._class_tokens - rows.shape[0], rows.shape[1])])

    @property
    def _class_tokens(self) -> int:
        vectors = self._all_vectors()
        return max(sum(vectors[sentence].shape[0] for sentence in own) for own in self.sentences.values())

    def _all_vectors(self) -> dict[str, Tensor]:
        if self._vectors is None:
            wanted = [*dict.fromkeys(sentence for own in self.sentences.values() for sentence in own)]
            wanted = list(dict.fromkeys([*wanted, self.background_sentence]))
            stored = self._read_cache()
            keys = {sentence: self._key(sentence) for sentence in wanted}
            absent = [sentence for sentence in wanted if keys[sentence] not in stored]
            if absent:
                encoded = self.encoder.encode(absent).detach().cpu().float()
                rows = [_without_padding(row) for row in encoded]
                stored.update({keys[sentence]: row for sentence, row in zip(absent, rows, strict=True)})
                if self.cache_file is not None:
                    write_tensors(self.cache_file, stored)
            self._vectors = {sentence: stored[keys[sentence]].reshape(-1, self.dim) for sentence in wanted}
        return self._vectors

    def _read_cache(self) -> dict[str, Tensor]:
        if self.cache_file is None or not self.cache_file.is_file():
            return {}
        try:
            return load_file(self.cache_file)
        except (SafetensorError, OSError) as error:
            logger.warning("%s is damaged (%s); its embeddings are computed again", self.cache_file, error)
            return {}

    def _key(self, sentence: str) -> str:
        text = "\n".join((self.encoder.name, self.encoder.fingerprint, sentence))
        return hashlib.sha256(text.encode()).hexdigest()


def embedding_table(
    prompts_file: str | Path,
    encoder: TextEncoder,
    cache_file: str | Path | None = None,
    control: Callable[[Prompts], Prompts] | None = None,
) -> EmbeddingTable:
    """Table of a file of descriptions, see `scripts.text.prompts`.

    Args:
        prompts_file: the descriptions.
        encoder: frozen text encoder.
        cache_file: as for `EmbeddingTable`.
        control: changes the descriptions, see `scripts.text.controls`; None takes them as they are.
    """
    prompts = read_prompts(prompts_file)
    if control is not None:
        prompts = control(prompts)
    return EmbeddingTable(prompts.sentences, encoder, prompts.background, cache_file, source=str(prompts_file))


def _without_padding(rows: Tensor) -> Tensor:
    """Copy (D,) as it is, or (T, D) without the rows of zeros at its end."""
    if rows.ndim == 1:
        return rows.clone()
    used = int(rows.any(dim=1).sum())
    return rows[: max(used, 1)].clone()
