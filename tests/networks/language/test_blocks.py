# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Transformer blocks by plain loops, and where masks and adapters act."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scripts.networks.language.blocks import (
    Attention,
    FeedForward,
    PostNormBlock,
    PreNormBlock,
    as_map,
    quick_gelu,
    split_heads,
)


class Times(nn.Module):
    """x times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def test_quick_gelu_by_hand() -> None:
    expected = [x / (1 + math.exp(-1.702 * x)) for x in (-2.0, 0.0, 1.0)]
    torch.testing.assert_close(quick_gelu(torch.tensor([-2.0, 0.0, 1.0])), torch.tensor(expected))


def test_heads_and_maps() -> None:
    tokens = torch.arange(24.0).view(1, 6, 4)
    assert split_heads(tokens, 2).shape == (1, 2, 6, 2)
    assert torch.equal(split_heads(tokens, 2)[0, 1], tokens[0, :, 2:])
    assert split_heads(tokens.expand(3, 5, 6, 4), 4).shape == (3, 5, 4, 6, 1)
    drawn = as_map(tokens, (2, 3))
    assert drawn.shape == (1, 4, 2, 3)
    assert drawn[0, 3, 1, 2] == tokens[0, 5, 3]
    assert drawn[0, 0, 0, 1] == tokens[0, 1, 0]


@torch.no_grad()
@pytest.mark.parametrize(("width", "heads"), [(4, 1), (8, 2), (6, 3)])
def test_attention_by_a_loop(width: int, heads: int) -> None:
    torch.manual_seed(0)
    attention, tokens = Attention(width, heads), torch.randn(2, 5, width)
    sees = torch.ones(5, 5, dtype=torch.bool).tril()
    query, key, value = attention.q_proj(tokens), attention.k_proj(tokens), attention.v_proj(tokens)
    size, joined = width // heads, torch.zeros(2, 5, width)
    for sample in range(2):
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            for row in range(5):
                scores = key[sample, : row + 1, part] @ query[sample, row, part] / math.sqrt(size)
                joined[sample, row, part] = scores.softmax(0) @ value[sample, : row + 1, part]
    torch.testing.assert_close(attention(tokens, sees[None, None]), attention.out_proj(joined))
    assert not torch.allclose(attention(tokens), attention.out_proj(joined))


def test_heads_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="a width of 6 can't be shared by 4 heads"):
        Attention(6, 4)


@torch.no_grad()
def test_where_adapters_act() -> None:
    torch.manual_seed(0)
    block, tokens = PreNormBlock(8, 2, 16), torch.randn(2, 5, 8)
    middle = tokens + 3 * block.self_attn(block.layer_norm1(tokens))
    expected = middle + 5 * block.mlp(block.layer_norm2(middle))
    torch.testing.assert_close(block(tokens, None, Times(3), Times(5)), expected)
    torch.testing.assert_close(block(tokens, None, Times(0), Times(0)), tokens)
    torch.testing.assert_close(block(tokens), block(tokens, None, Times(1), Times(1)))


@torch.no_grad()
def test_the_decoders_block() -> None:
    torch.manual_seed(0)
    block, tokens = PostNormBlock(8, 2, 16, dropout=0.5).eval(), torch.randn(2, 5, 8)
    middle = F.layer_norm(tokens + block.self_attn(tokens), (8,))
    expected = F.layer_norm(middle + block.mlp.fc2(block.mlp.fc1(middle).relu()), (8,))
    torch.testing.assert_close(block(tokens), expected)
    assert not torch.allclose(block.train()(tokens), expected)


def test_the_activation_is_the_given_one() -> None:
    part = FeedForward(2, 2, torch.square)
    for layer in (part.fc1, part.fc2):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    torch.testing.assert_close(part(torch.tensor([3.0, -2.0])), torch.tensor([9.0, 4.0]))


def test_gradients_reach_all() -> None:
    block = PreNormBlock(8, 2, 16)
    block(torch.randn(2, 5, 8)).square().mean().backward()
    # a bias of all keys moves no softmax
    silent = {name for name, value in block.named_parameters() if value.grad is None or value.grad.abs().max() < 1e-8}
    assert silent <= {"self_attn.k_proj.bias"}
