# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Strips of convolutions and words gate the image: by the formula, and without words."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scripts.networks.language.lsms.attention import LanguageBranch, ScaleAwareAttention, SpatialGate
from scripts.networks.language.lsms.word_attention import Words

WORDS = Words(torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(0)), torch.ones(2, 3, dtype=torch.bool))


def summing(gate: SpatialGate) -> SpatialGate:
    """Let every convolution add up what it sees."""
    for layer in gate.children():
        if isinstance(layer, nn.Conv2d):
            nn.init.ones_(layer.weight) if layer.groups > 1 else nn.init.dirac_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return gate


@torch.no_grad()
def test_what_a_gate_sees() -> None:
    """Five cells, and what strips of 7, 11 and 21 see of them: an impulse counts up to 12 cells away."""
    gate = summing(SpatialGate(2))
    x = torch.full((1, 2, 1, 41), 1e-6)  # what the gate is multiplied by, hence not zero
    x[..., 20] = 1.0
    found = (gate(x, None)[0] / x)[0, 1, 0]
    square = range(-2, 3)
    expected = [
        float(cell in square) + sum(abs(cell - other) <= half for half in (3, 5, 10) for other in square)
        for cell in range(-20, 21)
    ]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-3)
    assert expected[20 + 12] == 1
    assert expected[20 + 13] == 0


@torch.no_grad()
@pytest.mark.parametrize("size", [(4, 4), (3, 7), (1, 1)])
def test_by_the_formula(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    gate, x = SpatialGate(8, LanguageBranch(8, 16)), torch.randn(2, 8, *size)
    assert gate.language is not None
    local = gate.conv0(x)
    said, expected_weights = gate.language(local.flatten(2).transpose(1, 2), WORDS)
    mixed = (
        local
        + gate.conv0_2(gate.conv0_1(local))
        + gate.conv1_2(gate.conv1_1(local))
        + gate.conv2_2(gate.conv2_1(local))
    )
    found, weights = gate(x, WORDS)
    torch.testing.assert_close(found, gate.conv3(mixed + said.transpose(1, 2).view_as(x)) * x)
    assert weights is not None
    torch.testing.assert_close(weights, expected_weights)
    assert weights.shape == (2, size[0] * size[1], 3)
    plain, none = gate(x, None)
    assert none is None
    torch.testing.assert_close(plain, gate.conv3(mixed) * x)


@torch.no_grad()
def test_the_residual() -> None:
    torch.manual_seed(0)
    attention, x = ScaleAwareAttention(8, LanguageBranch(8, 16)), torch.randn(2, 8, 4, 4)
    inner, _ = attention.spatial_gating_unit(nn.functional.gelu(attention.proj_1(x)), WORDS)
    torch.testing.assert_close(attention(x, WORDS)[0], attention.proj_2(inner) + x)
    nn.init.zeros_(attention.proj_2.weight)
    nn.init.zeros_(attention.proj_2.bias)  # type: ignore[arg-type]
    assert torch.equal(attention(x, WORDS)[0], x)


def test_gradients_reach_image_and_words() -> None:
    attention, x = ScaleAwareAttention(8, LanguageBranch(8, 16)), torch.randn(2, 8, 4, 4)
    states = WORDS.states.clone().requires_grad_()
    attention(x, Words(states, WORDS.mask))[0].square().mean().backward()
    assert states.grad is not None
    assert states.grad.any()
    assert all(value.grad is not None for value in attention.parameters())
