# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CRIS as a network: maps and words to logits at stride 4, and what learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scripts.networks.language.clip_tokens import ClipTokens
from scripts.networks.language.cris.encoder import CrisEncoders
from scripts.networks.language.cris.network import CRIS
from scripts.networks.language.cris.resnet import ClipResNet


def test_the_names_are_cris() -> None:
    """Some of the public state's names and shapes, of RN50 at 416 pixels."""
    with torch.device("meta"):
        network = CRIS(CrisEncoders(ClipResNet()))
    state = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    expected = {
        "backbone.visual.attnpool.positional_embedding": (50, 2048),
        "backbone.visual.attnpool.connect.0.weight": (1024, 2048, 1, 1),
        "backbone.visual.layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "backbone.transformer.resblocks.11.mlp.c_proj.weight": (512, 2048),
        "backbone.transformer.resblocks.0.attn.in_proj_weight": (1536, 512),
        "backbone.text_projection": (512, 1024),
        "neck.coordconv.0.conv1.0.weight": (512, 514, 3, 3),
        "neck.f3_cat.0.weight": (512, 768, 1, 1),
        "decoder.layers.2.ffn.4.weight": (512, 2048),
        "decoder.layers.0.multihead_attn.in_proj_weight": (1536, 512),
        "proj.vis.4.weight": (256, 256, 1, 1),
        "proj.txt.weight": (2305, 1024),
    }
    assert {name: state[name] for name in expected} == expected
    head = [part for name, part in network.named_children() if name in ("neck", "decoder", "proj")]
    assert sum(value.numel() for part in head for value in part.parameters()) == 42_742_785


@torch.no_grad()
@pytest.mark.parametrize("padding", [0, 49407])
def test_padding_is_no_word(small_cris: CRIS, padding: int) -> None:
    """Whether a tokenizer fills up with zeros, or with the end token as the one that medvlsm used."""
    ids = ClipTokens().token_ids(["polyp in the left half"])
    end = int(ids.argmax())
    filled = ids.clone()
    filled[:, end + 1 :] = padding

    def logits(ids: Tensor) -> Tensor:
        words = small_cris.backbone.words(ids)
        context = small_cris.encode_text(words.states, words.mask)
        return small_cris.decode(small_cris.encode_image(image), context)

    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(logits(filled), logits(ids[:, : end + 1]), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
def test_the_parts_in_turn(small_cris: CRIS, size: tuple[int, int]) -> None:
    image, states = torch.rand(2, 3, *size), torch.randn(2, 4, 32)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    features, context = small_cris.encode_image(image), small_cris.encode_text(states, mask)
    last = torch.stack([states[0, 3], states[1, 1]]) @ small_cris.backbone.text_projection
    torch.testing.assert_close(context.sentence, last)
    assert torch.equal(context.mask, mask)
    maps = small_cris.backbone.visual(small_cris.normalise(image))
    assert all(torch.equal(features[level], value) for level, value in zip(small_cris.levels, maps, strict=True))
    cells = small_cris.decoder(small_cris.neck(*maps, last), states, mask)
    logits = small_cris.decode(features, context)
    assert logits.shape == (2, 1, size[0] // 4, size[1] // 4)
    torch.testing.assert_close(logits, small_cris.proj(cells, last), rtol=1e-4, atol=1e-5)


def test_no_words_leave_one_zero_word(small_cris: CRIS) -> None:
    context = small_cris.encode_text(torch.zeros(1, 3, 32), torch.zeros(1, 3, dtype=torch.bool))
    assert context.mask.tolist() == [[True, False, False]]
    assert not context.words.any()


@pytest.mark.parametrize("trains", [True, False])
def test_what_learns(trains: bool) -> None:
    encoders = CrisEncoders(ClipResNet((1, 1, 1, 1), 8, 32, 4, 64), 32, 32, 1, 4)
    network = CRIS(
        encoders, fused=(8, 32, 32), num_layers=1, num_heads=4, hidden=32, train_encoders=trains, reads_token_ids=True
    ).train()
    ids = ClipTokens().token_ids(["polyp", "a large lesion"]).float()[:, None]
    context = network.encode_text(ids, torch.ones(2, 1, dtype=torch.bool))
    network.decode(network.encode_image(torch.rand(2, 3, 64, 64)), context).square().mean().backward()
    for name, value in network.named_parameters():
        assert (value.grad is not None) == (trains or not name.startswith("backbone.")), name
    assert network.backbone.visual.training == trains


def test_widths_that_do_not_fit() -> None:
    encoders = CrisEncoders(ClipResNet((1, 1, 1, 1), 8, 32, 4, 64), 32, 32, 1, 4)
    with pytest.raises(ValueError, match="the neck's second width 16 must be that of the words, 32"):
        CRIS(encoders, fused=(8, 16, 32))
