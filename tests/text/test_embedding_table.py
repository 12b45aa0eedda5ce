# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from scripts.text import EmbeddingTable, embedding_table


class ToyEncoder:
    """A sentence's length and number of words; counts what it encodes."""

    dim = 2

    def __init__(self, name: str = "toy", fingerprint: str = "1") -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.encoded: list[str] = []

    def encode(self, sentences: Sequence[str]) -> Tensor:
        self.encoded.extend(sentences)
        return torch.tensor([[float(len(text)), float(len(text.split()))] for text in sentences])


SENTENCES = {"left kidney": "a bean", "spleen": "a dark crescent"}


def table(encoder: ToyEncoder, cache_file: Path | None = None) -> EmbeddingTable:
    return EmbeddingTable(SENTENCES, encoder, "nothing at all", cache_file)


def test_lazy_and_once() -> None:
    encoder = ToyEncoder()
    embeddings = table(encoder)
    assert embeddings.dim == 2
    assert encoder.encoded == []
    assert embeddings["spleen"].tolist() == [[15, 3]]
    assert embeddings.background.tolist() == [14, 3]
    assert embeddings["left kidney"].shape == (1, 2)
    assert encoder.encoded == ["a bean", "a dark crescent", "nothing at all"]


def test_several_sentences_of_a_class() -> None:
    encoder = ToyEncoder()
    embeddings = EmbeddingTable({"a": ["x", "yy"], "b": ["zzz", "x"]}, encoder, "none")
    assert embeddings["a"].tolist() == [[1, 1], [2, 1]]
    assert embeddings["b"].tolist() == [[3, 1], [1, 1]]
    assert embeddings.num_tokens == 2
    assert len(encoder.encoded) == 4
    with pytest.raises(ValueError, match="every class in pets needs a sentence; without: b"):
        EmbeddingTable({"a": "x", "b": []}, encoder, "none", source="pets")


def test_a_class_with_fewer_sentences_is_padded_with_zeros() -> None:
    embeddings = EmbeddingTable({"a": ["x", "yy", "z z"], "b": "zzz"}, ToyEncoder(), "none")
    assert embeddings["a"].tolist() == [[1, 1], [2, 1], [3, 2]]
    assert embeddings["b"].tolist() == [[3, 1], [0, 0], [0, 0]]
    assert embeddings.background.tolist() == [4, 1]


class WordEncoder(ToyEncoder):
    """One token per word, padded with zeros."""

    def encode(self, sentences: Sequence[str]) -> Tensor:
        self.encoded.extend(sentences)
        words = [[[float(len(word)), 1.0] for word in text.split()] for text in sentences]
        longest = max(len(own) for own in words)
        return torch.tensor([own + [[0.0, 0.0]] * (longest - len(own)) for own in words])


def test_token_states_of_an_encoder(tmp_path: Path) -> None:
    file = tmp_path / "text.safetensors"
    for encoder in (WordEncoder(), WordEncoder()):
        embeddings = EmbeddingTable({"a": "a bean", "b": ["dark", "so is it"]}, encoder, "nothing at all", file)
        assert embeddings["a"].tolist() == [[1, 1], [4, 1], [0, 0], [0, 0]]
        assert embeddings["b"].tolist() == [[4, 1], [2, 1], [2, 1], [2, 1]]
        assert embeddings.background.tolist() == [[7, 1], [2, 1], [3, 1]]
        assert embeddings.num_tokens == 4
    assert encoder.encoded == []  # all from the file


def test_cache_spares_the_encoder(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "text.safetensors"
    first = table(ToyEncoder(), file)["spleen"]
    encoder = ToyEncoder()
    assert torch.equal(table(encoder, file)["spleen"], first)
    assert encoder.encoded == []
    wider = EmbeddingTable({**SENTENCES, "liver": "a wedge"}, encoder, "nothing at all", file)
    assert wider["liver"].tolist() == [[7, 2]]
    assert encoder.encoded == ["a wedge"]


@pytest.mark.parametrize("other", [ToyEncoder(name="other"), ToyEncoder(fingerprint="2")])
def test_another_encoder_is_another_entry(tmp_path: Path, other: ToyEncoder) -> None:
    file = tmp_path / "text.safetensors"
    table(ToyEncoder(), file)["spleen"]
    other.encoded.clear()
    table(other, file)["spleen"]
    assert len(other.encoded) == 3


def test_damaged_cache_is_written_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "text.safetensors"
    file.write_bytes(b"no tensors")
    with caplog.at_level(logging.WARNING):
        table(ToyEncoder(), file)["spleen"]
    assert "is damaged" in caplog.text
    encoder = ToyEncoder()
    table(encoder, file)["spleen"]
    assert encoder.encoded == []


def test_unknown_class_gives_the_nearest_names() -> None:
    with pytest.raises(KeyError, match="no description of class 'kidney' in the table; nearest: left kidney"):
        table(ToyEncoder())["kidney"]
    with pytest.raises(KeyError, match="described are: left kidney, spleen"):
        table(ToyEncoder())["xyzzy"]


def test_from_a_file_of_prompts(tmp_path: Path) -> None:
    file = tmp_path / "pets.json"
    content = {"dataset": "pets", "categories": [{"name": "dog", "sentence": "wags"}], "background": "lawn"}
    file.write_text(json.dumps(content))
    embeddings = embedding_table(file, ToyEncoder())
    assert embeddings["dog"].tolist() == [[4, 1]]
    assert embeddings.encoder_name == "toy"
    with pytest.raises(KeyError, match=r"pets\.json"):
        embeddings["cat"]
