# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Cells attend to words: by a plain loop, without any word, and through a gate."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scripts.networks.language.lsms.word_attention import (
    LanguageGate,
    PixelWordAttention,
    WordFusion,
    Words,
    instance_norm,
)

TEXT_DIM = 16


def words(*lengths: int, seed: int = 0) -> Words:
    states = torch.randn(len(lengths), max(lengths), TEXT_DIM, generator=torch.Generator().manual_seed(seed))
    return Words(states, torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None])


@torch.no_grad()
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_by_a_loop(heads: int) -> None:
    torch.manual_seed(0)
    attention, cells, given = PixelWordAttention(8, TEXT_DIM, heads), torch.randn(2, 6, 8), words(3, 2)
    said, weights = attention(cells, given)
    query, size = instance_norm(attention.query(cells)), 8 // heads
    joined, mean = torch.zeros(2, 6, 8), torch.zeros(2, 6, 3)
    for sample, length in enumerate((3, 2)):
        key, value = attention.key(given.states[sample, :length]), attention.value(given.states[sample, :length])
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            for cell in range(6):
                row = (key[:, part] @ query[sample, cell, part] / math.sqrt(8)).softmax(0)
                joined[sample, cell, part] = row @ value[:, part]
                mean[sample, cell, :length] += row / heads
    torch.testing.assert_close(weights, mean)
    torch.testing.assert_close(said, instance_norm(attention.output(joined)), rtol=1e-3, atol=1e-4)


def test_no_word_says_nothing() -> None:
    attention = PixelWordAttention(8, TEXT_DIM)
    words = Words(torch.randn(2, 3, TEXT_DIM), torch.zeros(2, 3, dtype=torch.bool))
    said, weights = attention(torch.randn(2, 9, 8), words)
    assert said.abs().max() < 1e-4
    torch.testing.assert_close(weights, torch.full((2, 9, 3), 1 / 3))


def test_a_single_cell() -> None:
    assert torch.equal(instance_norm(torch.randn(2, 1, 5)), torch.zeros(2, 1, 5))


def test_instance_norm_by_hand() -> None:
    found = instance_norm(torch.tensor([[[1.0, 5.0], [3.0, 5.0]]]), eps=0.0)[0, :, 0]
    torch.testing.assert_close(found, torch.tensor([-1.0, 1.0]))
    constant = instance_norm(torch.tensor([[[1.0, 5.0], [3.0, 5.0]]]))[0, :, 1]
    assert torch.equal(constant, torch.zeros(2))


def test_heads_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="8 channels can't be shared by 3 heads"):
        PixelWordAttention(8, TEXT_DIM, 3)


def test_the_gate_by_hand() -> None:
    gate = LanguageGate(2)
    nn.init.eye_(gate.first.weight)
    nn.init.eye_(gate.second.weight)
    found = gate(torch.tensor([[[0.5, -2.0]]]))
    torch.testing.assert_close(found, torch.tensor([[[0.5 * math.tanh(0.5), 0.0]]]))
    assert not LanguageGate(4, starts_closed=True)(torch.randn(1, 3, 4)).any()


def test_a_closed_gate_can_open() -> None:
    gate = LanguageGate(4, starts_closed=True)
    gate(torch.rand(1, 3, 4)).sum().backward()
    assert gate.second.weight.grad is not None
    assert gate.first.weight.grad is not None
    assert not gate.first.weight.grad.any()  # until the second has moved


@torch.no_grad()
def test_fusion() -> None:
    torch.manual_seed(0)
    fusion, cells, given = WordFusion(8, TEXT_DIM), torch.randn(2, 6, 8), words(3, 2)
    onward, fused = fusion(cells, given)
    said, _ = fusion.attention(cells, given)
    torch.testing.assert_close(fused, F.gelu(fusion.merge(F.gelu(fusion.visual(cells)) * said)))
    torch.testing.assert_close(onward, cells + fusion.gate(fused))
    nn.init.zeros_(fusion.gate.second.weight)
    assert torch.equal(fusion(cells, given)[0], cells)
