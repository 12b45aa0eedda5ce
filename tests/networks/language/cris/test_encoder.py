# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CRIS' text transformer: where a sentence ends, what a word sees, and no more words than there is room for."""

from __future__ import annotations

import pytest
import torch

from scripts.networks.language.cris.encoder import CrisEncoders, WordStates
from scripts.networks.language.cris.resnet import ClipResNet

END = 29


@pytest.fixture
def encoders() -> CrisEncoders:
    torch.manual_seed(0)
    return CrisEncoders(ClipResNet((1, 1, 1, 1), 8, 16, 4, 64), 16, 8, 2, 2, context_length=6, vocabulary=30).eval()


@torch.no_grad()
@pytest.mark.parametrize("padding", [0, END])
def test_words_up_to_the_first_end(encoders: CrisEncoders, padding: int) -> None:
    ids = torch.tensor([[1, 5, END, padding, padding], [1, 5, 7, 9, END]])
    words = encoders.words(ids)
    assert words.mask.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert not words.states[0, 3:].any()
    torch.testing.assert_close(words.states[:1, :3], encoders.words(ids[:1, :3]).states)
    # a word sees what stands before it alone
    torch.testing.assert_close(words.states[0, :2], words.states[1, :2])
    assert not torch.allclose(words.states[0, 2], words.states[1, 2])


@torch.no_grad()
def test_the_sentence_is_its_last_word(encoders: CrisEncoders) -> None:
    words = encoders.words(torch.tensor([[1, 5, END, 0], [1, 5, 7, END]]))
    expected = torch.stack([words.states[0, 2], words.states[1, 3]]) @ encoders.text_projection
    torch.testing.assert_close(encoders.sentence(words), expected)
    nothing = WordStates(torch.zeros(1, 4, 8), torch.zeros(1, 4, dtype=torch.bool))
    assert torch.equal(encoders.sentence(nothing), torch.zeros(1, 16))


def test_too_many_words(encoders: CrisEncoders) -> None:
    assert encoders.words(torch.full((1, 6), END)).states.shape == (1, 6, 8)
    with pytest.raises(ValueError, match="a sentence has 7 tokens, the text encoder takes 6"):
        encoders.words(torch.full((1, 7), END))


def test_the_text_side_learns(encoders: CrisEncoders) -> None:
    encoders.sentence(encoders.words(torch.tensor([[1, 5, END]]))).square().mean().backward()
    learned = {name for name, value in encoders.named_parameters() if value.grad is not None}
    assert learned == {name for name, _ in encoders.named_parameters() if not name.startswith("visual.")}
