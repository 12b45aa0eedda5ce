# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CRIS' decoder: by its formula, padding is no word, and places count."""

from __future__ import annotations

import pytest
import torch

from scripts.networks.language.cris.decoder import CRISDecoder
from scripts.networks.language.positions import sine_positions_1d, sine_positions_2d


def made(num_layers: int = 1) -> CRISDecoder:
    torch.manual_seed(0)
    return CRISDecoder(8, num_layers, 2, 16, dropout=0.5).eval()


@torch.no_grad()
def test_a_layer_by_the_formula() -> None:
    decoder, x, words = made(), torch.randn(2, 8, 2, 3), torch.randn(2, 4, 8)
    layer, places = decoder.layers[0], sine_positions_2d(8, (2, 3))
    z = x.flatten(2).transpose(1, 2)
    normed = layer.norm1(z)
    z = z + layer.self_attn_norm(layer.self_attn(normed + places, normed + places, normed)[0])
    asked = layer.norm2(z) + places
    z = z + layer.cross_attn_norm(layer.multihead_attn(asked, words + sine_positions_1d(8, 4), words)[0])
    z = decoder.norm(z + layer.ffn(layer.norm3(z)))
    found = decoder(x, words, torch.ones(2, 4, dtype=torch.bool))
    torch.testing.assert_close(found, z.transpose(1, 2).reshape(2, 8, 2, 3), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4)])
def test_padding_is_no_word(size: tuple[int, int]) -> None:
    decoder, x, words = made(2), torch.randn(1, 8, *size), torch.randn(1, 3, 8)
    expected = decoder(x, words, torch.ones(1, 3, dtype=torch.bool))
    assert expected.shape == x.shape
    padded = torch.cat([words, torch.randn(1, 2, 8)], 1)
    torch.testing.assert_close(decoder(x, padded, torch.arange(5)[None] < 3), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(decoder(x, padded, torch.ones(1, 5, dtype=torch.bool)), expected, rtol=1e-3)
    assert not torch.allclose(decoder(x, words.flip(1), torch.ones(1, 3, dtype=torch.bool)), expected, rtol=1e-3)


def test_all_learn_and_dropout_drops() -> None:
    decoder, x, words = made(2).train(), torch.randn(2, 8, 2, 3), torch.randn(2, 4, 8, requires_grad=True)
    mask = torch.ones(2, 4, dtype=torch.bool)
    assert not torch.allclose(decoder(x, words, mask), decoder(x, words, mask))
    decoder(x, words, mask).square().mul(torch.rand(8, 1, 1)).mean().backward()
    assert words.grad is not None
    assert all(value.grad is not None for value in decoder.parameters())
