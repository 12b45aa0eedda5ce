# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIP's tokens, and sentences that a network's own text encoder has read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scripts.networks.language import LanguageSegmenter, load_clipseg
from scripts.networks.language.clip_tokens import ClipTokens, NetworkSentences
from scripts.networks.language.cris.network import CRIS
from scripts.text.embedding_table import EmbeddingTable

SENTENCES = {"polyp": "a photo of a polyp", "ulcer": ["foot ulcer", "a wound of the skin on a foot"]}


def test_ids_are_clips() -> None:
    ids = ClipTokens().token_ids(["a photo of a cat", ""])
    assert ids.shape == (2, 77)
    assert ids[0, :7].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert not ids[0, 7:].any()
    assert ids[1, :3].tolist() == [49406, 49407, 0]


def test_a_sentence_longer_than_the_context() -> None:
    long = "polyp " * 80
    with pytest.raises(ValueError, match=r"162 tokens, the text encoder takes 77: 'polyp polyp"):
        ClipTokens().encode([long])
    assert ClipTokens().count_tokens(long) == 162


def test_table_of_condition_vectors(clipseg_folder: Path) -> None:
    network = load_clipseg(clipseg_folder)
    table = EmbeddingTable(SENTENCES, NetworkSentences(network), "a photo of nothing")
    assert table.dim == network.text_dim == 32
    assert table["ulcer"].shape == (2, 32)
    padded = table["polyp"]
    assert not padded[1].any()
    torch.testing.assert_close(padded[0], network.encode_token_ids(ClipTokens().token_ids([SENTENCES["polyp"]]))[0])


@torch.no_grad()
def test_ids_and_vectors_give_the_same(clipseg_folder: Path) -> None:
    """Sentences encoded before, or in the network."""
    image = torch.rand(1, 3, 64, 64)
    before = load_clipseg(clipseg_folder)
    inside = load_clipseg(clipseg_folder, reads_token_ids=True)
    vectors = EmbeddingTable(SENTENCES, NetworkSentences(before), "nothing")["ulcer"][None]
    ids = EmbeddingTable(SENTENCES, ClipTokens(), "nothing")["ulcer"][None]
    torch.testing.assert_close(
        LanguageSegmenter(inside).eval()(image, text_embedding=ids),
        LanguageSegmenter(before).eval()(image, text_embedding=vectors),
    )


@torch.no_grad()
def test_words_of_cris(small_cris: CRIS) -> None:
    table = EmbeddingTable({"polyp": "a photo of a polyp"}, NetworkSentences(small_cris), "nothing at all to see")
    states = table["polyp"]
    assert states.shape == (len(ClipTokens()._code("a photo of a polyp")), 32)
    image = torch.rand(1, 3, 64, 64)
    expected = LanguageSegmenter(small_cris)(image, text_embedding=states[None])
    small_cris.reads_token_ids = True
    small_cris.text_dim = 77
    ids = ClipTokens().encode(["a photo of a polyp"])[None]
    found = LanguageSegmenter(small_cris)(image, text_embedding=ids)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
