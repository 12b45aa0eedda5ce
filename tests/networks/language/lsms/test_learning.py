# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""LSMS learns to find the one of two objects that the words name; another expression moves the mask."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scripts.losses import SentenceLoss
from scripts.networks.language import LSMS, LanguageSegmenter

SIZE = 32
WORD_WIDTH = 32


def phantoms(generator: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Images (N, 3, S, S) of a bright and a dark disc, one in each half, and their masks (N, 2, 1, S, S)."""
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    images, masks = torch.full((count, 3, SIZE, SIZE), 0.5), torch.zeros(count, 2, 1, SIZE, SIZE)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (1,), generator=generator))

    for image, pair in zip(images, masks, strict=True):
        first_side = draw(0, 2)
        for index, value in enumerate((0.9, 0.1)):
            column = draw(5, 11) + (SIZE // 2 if first_side ^ index else 0)
            disc = (rows - draw(6, 26)) ** 2 + (columns - column) ** 2 < draw(3, 5) ** 2
            image[:, disc] = value
            pair[index, 0][disc] = 1
    return (images + 0.05 * torch.randn(images.shape, generator=generator)).clamp(0, 1), masks


@torch.no_grad()
def wrong_object_rate(segmenter: LanguageSegmenter, words: Tensor, images: Tensor, masks: Tensor) -> float:
    """How often the mask covers the other object at least as much as the named one."""
    features, wrong = segmenter.features(images), []
    for index in range(2):
        prompt = segmenter.encode_prompt(text_embedding=words[index : index + 1])
        found = segmenter.segment(features, prompt, (SIZE, SIZE)).argmax(1, keepdim=True)
        named, other = ((found * masks[:, part]).sum((1, 2, 3)) for part in (index, 1 - index))
        wrong.append((other >= named).float())
    return float(torch.cat(wrong).mean())


@pytest.mark.slow
def test_words_decide_which_object() -> None:
    generator = torch.Generator().manual_seed(0)
    words = torch.randn(2, 3, WORD_WIDTH, generator=generator)
    torch.manual_seed(0)
    segmenter, loss = LanguageSegmenter(LSMS(WORD_WIDTH, "tiny", drop_path=0.0)), SentenceLoss(1.0, 1.0)
    optimizer = torch.optim.AdamW(segmenter.parameters(), lr=1e-3, weight_decay=1e-2)
    for _ in range(80):
        images, masks = phantoms(generator, 8)
        named = torch.randint(0, 2, (8,), generator=generator)
        label = masks[torch.arange(8), named]
        optimizer.zero_grad()
        loss(segmenter(images, text_embedding=words[named], query_label=label), label).backward()
        optimizer.step()
    segmenter.eval()
    images, masks = phantoms(torch.Generator().manual_seed(9), 16)
    assert wrong_object_rate(segmenter, words, images, masks) < 0.1
    assert wrong_object_rate(segmenter, words.flip(0), images, masks) > 0.9
