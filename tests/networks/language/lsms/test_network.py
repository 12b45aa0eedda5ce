# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""LSMS: what its specification lists as worth testing (section 4), and that words decide."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scripts.networks.language.lsms.decoder_b import CellAttention, CrossScaleEnhancement, word_uncertainty
from scripts.networks.language.lsms.factorisation import Factorisation
from scripts.networks.language.lsms.mscan import SIZES, Encoder
from scripts.networks.language.lsms.network import LSMS
from scripts.networks.language.lsms.word_attention import PixelWordAttention, Words, instance_norm

TEXT_DIM = 16
FORMS: list[dict[str, Any]] = [{}, {"in_every_block": False, "learned_bases": True}, {"decoder": "cross_scale"}]


def network(**options: Any) -> LSMS:
    torch.manual_seed(0)
    made = LSMS(TEXT_DIM, "tiny", **options)
    for name, value in made.named_parameters():
        if "layer_scale" in name:  # so that the blocks count as they do after a training
            nn.init.constant_(value, 0.5)
    return made.eval()


@torch.no_grad()
def logits(made: LSMS, image: Tensor, states: Tensor, mask: Tensor | None = None) -> Tensor:
    mask = torch.ones(states.shape[:2], dtype=torch.bool) if mask is None else mask
    return made.decode(made.encode_image(image), made.encode_text(states, mask))


@pytest.mark.parametrize("options", FORMS)
@pytest.mark.parametrize("size", [(64, 64), (64, 96), (70, 51), (32, 32), (224, 40)])
def test_any_size_and_deterministic(options: dict[str, Any], size: tuple[int, int]) -> None:
    image, states = torch.rand(1, 3, *size), torch.randn(1, 4, TEXT_DIM)
    made = network(**options)
    first = logits(made, image, states)
    assert first.shape[1] == 1
    assert first.isfinite().all()
    assert torch.equal(first, logits(made, image, states))
    assert made.upsample(first, size).shape[2:] == size


@pytest.mark.parametrize("options", FORMS)
def test_words(options: dict[str, Any]) -> None:
    image, states = torch.rand(1, 3, 64, 64), torch.randn(1, 4, TEXT_DIM)
    made = network(**options)
    expected = logits(made, image, states)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(logits(made, image, states[:, order]), expected, rtol=1e-3, atol=1e-4)
    padded = torch.cat([states, torch.randn(1, 3, TEXT_DIM)], dim=1)
    torch.testing.assert_close(logits(made, image, padded, torch.arange(7)[None] < 4), expected, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(logits(made, image, -states), expected, rtol=1e-2)
    assert logits(made, image, states, torch.zeros(1, 4, dtype=torch.bool)).isfinite().all()


@torch.no_grad()
def test_a_closed_gate_is_without_text() -> None:
    made = network()
    for name, value in made.named_parameters():
        if name.endswith("gate.second.weight"):
            nn.init.zeros_(value)
    image = torch.rand(1, 3, 64, 64)
    first, second = (logits(made, image, torch.randn(1, 4, TEXT_DIM)) for _ in range(2))
    torch.testing.assert_close(first, second)


def test_no_word_says_nothing() -> None:
    attention = PixelWordAttention(8, TEXT_DIM)
    words = Words(torch.randn(2, 3, TEXT_DIM), torch.zeros(2, 3, dtype=torch.bool))
    said, weights = attention(torch.randn(2, 9, 8), words)
    assert said.abs().max() < 1e-4
    torch.testing.assert_close(weights, torch.full((2, 9, 3), 1 / 3))


def test_a_single_cell() -> None:
    assert torch.equal(instance_norm(torch.randn(2, 1, 5)), torch.zeros(2, 1, 5))


def test_sizes() -> None:
    """Weights of the parent (specification 2.1): 45.83 M in the encoder, 19.56 M of them in its language branches.

    Those counts hold what its release creates and never uses, a value projection in every branch (4.28 M).
    """
    made = LSMS(768, "base")
    encoder = sum(value.numel() for value in made.encoder.parameters())
    branches = sum(value.numel() for name, value in made.encoder.named_parameters() if ".language." in name)
    unused = sum(
        depth * (channels * channels + channels)
        for channels, depth in zip(SIZES["base"].channels, SIZES["base"].depths, strict=True)
    )
    assert (encoder + unused) / 1e6 == pytest.approx(45.83, abs=0.06)
    assert (branches + unused) / 1e6 == pytest.approx(19.56, abs=0.06)


def test_segnext_names() -> None:
    names = set(Encoder(SIZES["tiny"], TEXT_DIM).state_dict())
    assert {
        "patch_embed1.proj.0.weight", "patch_embed1.proj.4.running_var", "patch_embed2.proj.weight",
        "patch_embed2.norm.weight", "block1.0.norm1.weight", "block1.0.layer_scale_1", "block3.4.mlp.fc1.weight",
        "block1.0.mlp.dwconv.dwconv.weight", "block2.1.attn.spatial_gating_unit.conv2_2.weight",
        "block2.1.attn.proj_1.weight", "norm4.weight",
    } <= names  # fmt: skip


def test_factorisation_of_what_has_that_rank() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(1, 12, 3, generator=generator) @ torch.rand(1, 3, 40, generator=generator)
    found = Factorisation(12, rank=3, eval_steps=600).eval()(values)
    assert ((found - values).norm() / values.norm()) < 0.05


@torch.no_grad()
def test_only_uncertain_cells_are_enhanced() -> None:
    torch.manual_seed(0)
    enhance = CrossScaleEnhancement([4, 8, 8, 16], width=16, num_cells=2, num_heads=4)
    maps = [torch.randn(1, count, 2 * side, 3 * side) for count, side in zip([4, 8, 8, 16], [8, 4, 2, 1], strict=True)]
    uncertainty = torch.tensor([[0.0, 0.9, 0.1, 0.2, 0.8, 0.3]])  # cells (0, 1) and (1, 1)
    with_cells = enhance(maps, uncertainty)
    nn.init.zeros_(enhance.attention.layer_scale)
    without = enhance(maps, uncertainty)
    for index, side in enumerate((8, 4, 2, 1)):
        moved = ((with_cells[index] - without[index]).abs().amax((0, 1)) > 1e-6).float()
        cells = moved.unflatten(1, (3, side)).unflatten(0, (2, side)).amax((1, 3))
        assert torch.equal(cells, torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]))


def test_uncertainty_is_of_use() -> None:
    """The parent's map was 1 everywhere."""
    weights = torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]]])
    found = word_uncertainty(weights)[0]
    assert found[0] < found[1] < found[2]


def test_scaled_scores() -> None:
    tokens = torch.randn(1, 1, 5, 16)
    torch.manual_seed(0)
    ours, released = CellAttention(16, 4), CellAttention(16, 4, released=True)
    released.load_state_dict(ours.state_dict())
    assert not torch.allclose(ours(tokens), released(tokens))
    released.qkv.weight.data[:16] /= 2  # a head is 4 wide
    released.qkv.bias.data[:16] /= 2
    torch.testing.assert_close(ours(tokens), released(tokens))


@pytest.mark.parametrize("option", ["size", "decoder", "contrast"])
def test_unknown_forms(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} is one of .*, got 'huge'"):
        LSMS(TEXT_DIM, **{option: "huge"})  # type: ignore[arg-type]
