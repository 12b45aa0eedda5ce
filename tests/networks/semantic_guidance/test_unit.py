# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from scripts.networks.semantic_guidance import SemanticUnit, convert_reference_state


class LiteralUnit(nn.Module):
    """The unit as published: every pixel attends to h * w copies of one token."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(channels, 4)
        self.text_mlp = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels))
        self.norm = nn.LayerNorm(channels)
        nn.init.normal_(self.attn.in_proj_bias)
        nn.init.normal_(self.attn.out_proj.bias)
        nn.init.normal_(self.norm.weight)
        nn.init.normal_(self.norm.bias)

    def forward(self, features: Tensor, text: Tensor) -> Tensor:
        pixels = features.flatten(2).permute(2, 0, 1)
        token = self.text_mlp(text).unsqueeze(0).expand(pixels.shape[0], -1, -1)
        attended = self.attn(pixels, token, token)[0]
        return self.norm(attended + pixels).permute(1, 2, 0).unflatten(2, features.shape[2:])


@pytest.fixture
def pair() -> tuple[LiteralUnit, SemanticUnit]:
    torch.manual_seed(0)
    literal, unit = LiteralUnit(16), SemanticUnit(16, 16)
    unit.load_state_dict(convert_reference_state(literal.state_dict()))
    return literal, unit


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("batch", [1, 3])
def test_equals_the_literal_attention(
    pair: tuple[LiteralUnit, SemanticUnit], batch: int, memory_format: torch.memory_format
) -> None:
    literal, unit = pair
    features = torch.randn(batch, 16, 5, 7).contiguous(memory_format=memory_format)
    text = torch.randn(batch, 16)
    before = features.clone()
    torch.testing.assert_close(unit(features, unit.constant(text)), literal(features, text), rtol=1e-5, atol=1e-5)
    assert torch.equal(features, before)


def test_gradients_equal_the_literal_attention(pair: tuple[LiteralUnit, SemanticUnit]) -> None:
    literal, unit = pair
    features, text, weights = torch.randn(2, 16, 4, 4), torch.randn(2, 16), torch.randn(2, 16, 4, 4)
    (unit(features, unit.constant(text)) * weights).sum().backward()
    (literal(features, text) * weights).sum().backward()
    for name in ("text_mlp.0.weight", "text_mlp.2.bias", "norm.weight"):
        torch.testing.assert_close(
            unit.get_parameter(name).grad, literal.get_parameter(name).grad, rtol=1e-4, atol=1e-5
        )
    in_projection = literal.attn.in_proj_weight.grad
    torch.testing.assert_close(unit.value.weight.grad, in_projection[32:], rtol=1e-4, atol=1e-5)
    assert in_projection[:32].abs().max() < 1e-5  # query and key: dead weights


@pytest.mark.parametrize("masks", [1, 2])
def test_prototypes_are_averages_of_guided_maps(pair: tuple[LiteralUnit, SemanticUnit], masks: int) -> None:
    _, unit = pair
    features, weights = 3 + torch.randn(2, 16, 5, 5), torch.rand(2, masks, 5, 5)
    constants = unit.constant(torch.randn(2, masks, 16))
    found = unit.prototypes(features, constants, weights)
    for index in range(masks):
        guided = unit(features, constants[:, index])
        area = weights[:, index].sum((1, 2))
        expected = (guided * weights[:, index : index + 1]).sum((2, 3)) / (area + 1e-6).unsqueeze(1)
        torch.testing.assert_close(found[:, index], expected, rtol=1e-5, atol=1e-5)


def test_prototype_of_an_empty_mask_is_zero(pair: tuple[LiteralUnit, SemanticUnit]) -> None:
    _, unit = pair
    found = unit.prototypes(torch.randn(1, 16, 3, 3), torch.randn(1, 1, 16), torch.zeros(1, 1, 3, 3))
    assert found.abs().max() == 0


def test_text_of_another_width() -> None:
    unit = SemanticUnit(channels=8, text_dim=20)
    guided = unit(torch.randn(2, 8, 3, 3), unit.constant(torch.randn(2, 20)))
    assert guided.shape == (2, 8, 3, 3)
    assert F.layer_norm(guided.permute(0, 2, 3, 1), (8,)).shape == (2, 3, 3, 8)


def several(literal: LiteralUnit) -> SemanticUnit:
    """The unit for several tokens with the same weights."""
    unit = SemanticUnit(16, 16, has_attention=True, heads=4)
    unit.load_state_dict(convert_reference_state(literal.state_dict(), has_attention=True))
    return unit


def padding(tokens: Tensor, *padded: tuple[int, int]) -> Tensor:
    found = torch.zeros(tokens.shape[:2], dtype=torch.bool)
    for place in padded:
        found[place] = True
    return found


@pytest.mark.parametrize("padded", [(), ((0, 2),), ((0, 1), (0, 2), (1, 2))])
def test_several_tokens_equal_multi_head_attention(
    pair: tuple[LiteralUnit, SemanticUnit], padded: tuple[tuple[int, int], ...]
) -> None:
    literal, unit = pair[0], several(pair[0])
    features, tokens = torch.randn(2, 16, 5, 7), torch.randn(2, 3, 16)
    is_padding = padding(tokens, *padded)
    pixels, words = features.flatten(2).permute(2, 0, 1), literal.text_mlp(tokens).transpose(0, 1)
    attended = literal.attn(pixels, words, words, key_padding_mask=is_padding)[0]
    expected = literal.norm(attended + pixels).permute(1, 2, 0).unflatten(2, features.shape[2:])
    found = unit(features, unit.attend(features, tokens, is_padding))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    gradients = literal.attn.in_proj_weight.grad.chunk(3)
    assert gradients[0].abs().max() > 1e-3  # unlike with one token, query and key learn
    for layer, gradient in zip((unit.query, unit.key, unit.value), gradients, strict=True):
        torch.testing.assert_close(layer.weight.grad, gradient, rtol=1e-4, atol=1e-4)


def test_padded_tokens_change_nothing(pair: tuple[LiteralUnit, SemanticUnit]) -> None:
    unit = several(pair[0])
    features, tokens = torch.randn(1, 16, 4, 4), torch.randn(1, 2, 16)
    longer = torch.cat([tokens, 50 * torch.randn(1, 3, 16)], dim=1)
    expected = unit.attend(features, tokens, padding(tokens))
    found = unit.attend(features, longer, padding(longer, (0, 2), (0, 3), (0, 4)))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_one_repeated_token_gives_the_one_token_result(pair: tuple[LiteralUnit, SemanticUnit]) -> None:
    unit = several(pair[0])
    features, text = torch.randn(2, 16, 4, 4), torch.randn(2, 16)
    repeated = text.unsqueeze(1).expand(-1, 5, -1)
    found = unit(features, unit.attend(features, repeated, padding(repeated)))
    torch.testing.assert_close(found, unit(features, unit.constant(text)), rtol=1e-5, atol=1e-5)


def test_several_tokens_act_differently_from_pixel_to_pixel(pair: tuple[LiteralUnit, SemanticUnit]) -> None:
    unit = several(pair[0])
    features, tokens = 3 * torch.randn(1, 16, 4, 4), 3 * torch.randn(1, 2, 16)
    assert unit.attend(features, tokens, padding(tokens)).std(dim=1).max() > 0.01
    repeated = tokens[:, :1].expand(-1, 2, -1)
    assert unit.attend(features, repeated, padding(repeated)).std(dim=1).max() < 1e-5


def operations(unit: SemanticUnit, grid: int, tokens: int) -> int:
    """Multiplications and additions of the attention by itself; the counter knows those of its plain form only."""
    features, text = torch.randn(1, 16, grid, grid), torch.randn(1, tokens, 16)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        unit.attend(features, text, padding(text))
    return sum(count for name, count in counter.get_flop_counts()["Global"].items() if "bmm" in str(name))


def test_cost_is_linear_in_pixels_and_tokens() -> None:
    unit = SemanticUnit(16, 16, has_attention=True)
    least = operations(unit, 4, 2)
    assert least == 4 * (4 * 4) * 2 * 16
    assert operations(unit, 8, 2) == 4 * least
    assert operations(unit, 8, 6) == 12 * least


def test_one_token_unit_takes_no_several_and_has_no_dead_weights() -> None:
    unit = SemanticUnit(16, 16)
    assert sum(parameter.numel() for parameter in unit.parameters()) == 4 * 16**2 + 6 * 16
    tokens = torch.randn(1, 2, 16)
    with pytest.raises(ValueError, match="built for one text token, and got several"):
        unit.attend(torch.randn(1, 16, 2, 2), tokens, padding(tokens))
    attention = SemanticUnit(16, 16, has_attention=True)
    assert sum(parameter.numel() for parameter in attention.parameters()) == 6 * 16**2 + 8 * 16
    with pytest.raises(ValueError, match="3 attention heads don't divide the 16 channels"):
        SemanticUnit(16, 16, has_attention=True, heads=3)


def test_a_foreign_state_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not a state of the published unit: \['text_mlp.0.weight'"):
        convert_reference_state({"layer.weight": torch.zeros(1)})
