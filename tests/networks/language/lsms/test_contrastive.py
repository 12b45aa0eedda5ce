# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The contrastive term: near its own expression, far from others, and nothing to compare is no NaN."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from scripts.networks.language.lsms.contrastive import BatchContrast, ContrastiveTerm, PixelContrast
from scripts.networks.language.lsms.word_attention import Words

WIDTH = 4


def identity(term: ContrastiveTerm) -> ContrastiveTerm:
    """Let features and words be compared as they are."""
    nn.init.dirac_(term.pixels.weight)
    nn.init.eye_(term.text.weight)
    nn.init.zeros_(term.pixels.bias)
    nn.init.zeros_(term.text.bias)
    return term


def scene() -> tuple[Tensor, Words, Tensor]:
    """Two images whose objects have the feature of their own expression."""
    words = Words(torch.eye(WIDTH)[:2, None], torch.ones(2, 1, dtype=torch.bool))
    label = torch.zeros(2, 1, 4, 4)
    label[:, :, :2] = 1
    features = torch.where(label == 1, words.states[:, 0, :, None, None], -words.states[:, 0, :, None, None])
    return features, words, label


@pytest.mark.parametrize("form", [PixelContrast, BatchContrast])
def test_own_expression_is_nearest(form: type[ContrastiveTerm]) -> None:
    term = identity(form(WIDTH, WIDTH, WIDTH))
    features, words, label = scene()
    right = term(features, words, label)
    wrong = term(features, Words(words.states.flip(0), words.mask), label)
    assert right < 1e-4
    assert wrong > 0.5


def test_pixels_by_hand() -> None:
    term = identity(PixelContrast(WIDTH, WIDTH, WIDTH))
    features, words, label = scene()
    label[:, :, 3] = 255  # the last row is not counted, whatever it shows
    features[:, :, 3] = features[:, :, 0]
    expected = nn.functional.softplus(torch.tensor(-1 / 0.07))
    torch.testing.assert_close(term(features, words, label), expected)


def test_equal_expressions_are_no_negatives() -> None:
    term = identity(BatchContrast(WIDTH, WIDTH, WIDTH))
    features, words, label = scene()
    same = Words(words.states[:1].expand(2, -1, -1), words.mask)
    assert term(features, same, label) < 1e-6


@pytest.mark.parametrize("form", [PixelContrast, BatchContrast])
def test_nothing_to_compare(form: type[ContrastiveTerm]) -> None:
    term = form(WIDTH, WIDTH)
    features, words, label = scene()
    loss = term(features.requires_grad_(), words, torch.full_like(label, 255))
    assert loss == 0
    loss.backward()
    assert all(value.grad.isfinite().all() for value in term.parameters() if value.grad is not None)
