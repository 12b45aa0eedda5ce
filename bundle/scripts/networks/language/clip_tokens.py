# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIP's tokens, which CLIPSeg and CRIS read, and sentences as such a network encodes them, for embedding tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from .base import fingerprint_of

if TYPE_CHECKING:
    from open_clip.tokenizer import SimpleTokenizer

__all__ = ["ClipTokens", "NetworkSentences", "SentenceNetwork"]

_BATCH = 64


class ClipTokens:
    """Stands for an encoder in an embedding table, which then holds a sentence's token ids, to be encoded in a network.

    The byte-pair code of CLIP comes with open_clip; nothing is fetched.

    Args:
        context_length: ids per sentence, start and end included.
    """

    name = "token ids of CLIP"
    fingerprint = "clip byte-pair code"

    def __init__(self, context_length: int = 77) -> None:
        self.context_length = context_length

    @property
    def dim(self) -> int:
        """Ids per sentence."""
        return self.context_length

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Give (N, L) ids as numbers of float32, which holds them exactly."""
        return self.token_ids(sentences).float()

    def token_ids(self, sentences: Sequence[str]) -> Tensor:
        """Give (N, L) ids, zeros after the end.

        Raises:
            ValueError: for a sentence that is longer than the context.
        """
        codes = [self._code(sentence) for sentence in sentences]
        ids = torch.zeros(len(codes), self.context_length, dtype=torch.long)
        for row, code in zip(ids, codes, strict=True):
            row[: len(code)] = torch.tensor(code)
        return ids

    def count_tokens(self, sentence: str) -> int:
        """Tokens of a sentence, its start and end included."""
        return len(self._tokenizer.encode(sentence)) + 2

    def _code(self, sentence: str) -> list[int]:
        code = [self._tokenizer.sot_token_id, *self._tokenizer.encode(sentence), self._tokenizer.eot_token_id]
        if len(code) > self.context_length:
            raise ValueError(
                f"a sentence has {len(code)} tokens, the text encoder takes {self.context_length}: {sentence!r}"
            )
        return code

    @cached_property
    def _tokenizer(self) -> SimpleTokenizer:
        from open_clip.tokenizer import SimpleTokenizer  # seconds to import

        return SimpleTokenizer()


class SentenceNetwork(Protocol):
    """A network with a text encoder of its own."""

    name: str
    context_length: int
    state_dim: int

    def sentence_states(self, token_ids: Tensor) -> Tensor:
        """(N, L) -> (N, D), or (N, T, D) with zeros for padding."""

    def text_encoder(self) -> nn.Module:
        """The part that computes them."""


class NetworkSentences:
    """Sentences encoded by the frozen text encoder of a language network, for embedding tables.

    Args:
        network: CLIPSeg or CRIS.
    """

    def __init__(self, network: SentenceNetwork) -> None:
        self.network = network
        self.tokens = ClipTokens(network.context_length)
        self.name = f"text encoder of {network.name.partition(' ')[0]}"

    @property
    def dim(self) -> int:
        """Length of a state."""
        return self.network.state_dim

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the weights."""
        return fingerprint_of(self.name, self.network.text_encoder())

    @torch.no_grad()
    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Encode sentences.

        Returns:
            (N, D), or (N, T, D) with zeros for padding.
        """
        device = next(self.network.text_encoder().parameters()).device
        batches = torch.split(self.tokens.token_ids(sentences), _BATCH)
        return torch.cat([self.network.sentence_states(ids.to(device)) for ids in batches]).float().cpu()
