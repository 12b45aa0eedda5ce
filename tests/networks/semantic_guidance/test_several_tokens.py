# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Several sentences per class, from the guidance to a whole host."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from scripts.networks.hosts import IFA, Prototype
from scripts.networks.semantic_guidance import ReleasedSemanticGuidance, SemanticGuidance

TEXT_DIM, CHANNELS, TOKENS = 6, 8, 3
BACKGROUND = torch.linspace(-1, 1, TEXT_DIM)


def make(kind: type[SemanticGuidance] = SemanticGuidance, **arguments: Any) -> SemanticGuidance:
    torch.manual_seed(0)
    values = {"background_embedding": BACKGROUND, "num_tokens": TOKENS, **arguments}
    return kind({"map": CHANNELS}, text_dim=TEXT_DIM, **values)


@pytest.fixture
def episode() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {
        "host_prototypes": torch.randn(2, 2, CHANNELS),
        "support": 3 * torch.randn(2, 3, CHANNELS, 4, 4),
        "mask": (torch.rand(2, 3, 1, 16, 16) > 0.5).float(),
    }


def fuse(guidance: SemanticGuidance, episode: dict[str, Tensor], text_embedding: Tensor) -> Tensor:
    return guidance.fuse(**episode, text=guidance.class_text(text_embedding))


def test_fused_prototypes_are_averages_of_guided_maps(episode: dict[str, Tensor]) -> None:
    guidance, text = make(), 3 * torch.randn(2, TOKENS, TEXT_DIM)
    found = fuse(guidance, episode, text)
    for b in range(2):
        for side, own_text in enumerate((text[b].flatten(), BACKGROUND)):
            shots = []
            for maps, mask in zip(episode["support"][b], episode["mask"][b], strict=True):
                inside = (mask == 1 - side).float()[None]
                weights = torch.nn.functional.interpolate(inside, (4, 4), mode="bilinear", align_corners=True)
                shots.append((guidance.guide(maps[None], own_text[None]) * weights).sum((0, 2, 3)) / weights.sum())
            expected = 0.7 * episode["host_prototypes"][b, side] + 0.3 * torch.stack(shots).mean(0)
            torch.testing.assert_close(found[b, side], expected)


@pytest.mark.parametrize("kind", [SemanticGuidance, ReleasedSemanticGuidance])
def test_one_token_padded_equals_one_token(episode: dict[str, Tensor], kind: type[SemanticGuidance]) -> None:
    guidance, text = make(kind), torch.randn(2, 1, TEXT_DIM)
    padded = torch.cat([text, torch.zeros(2, 2, TEXT_DIM)], dim=1)
    torch.testing.assert_close(fuse(guidance, episode, padded), fuse(guidance, episode, text))
    repeated = text.expand(-1, TOKENS, -1)
    torch.testing.assert_close(fuse(guidance, episode, repeated), fuse(guidance, episode, text))


def test_padding_is_told_episode_by_episode(episode: dict[str, Tensor]) -> None:
    guidance, text = make(), 3 * torch.randn(2, TOKENS, TEXT_DIM)
    text[0, 1:] = 0
    found = fuse(guidance, episode, text)
    alone = fuse(guidance, {name: value[:1] for name, value in episode.items()}, text[:1, :1])
    torch.testing.assert_close(found[:1], alone)


def test_background_of_several_tokens(episode: dict[str, Tensor]) -> None:
    text = torch.randn(2, 1, TEXT_DIM)
    twice = fuse(make(background_embedding=BACKGROUND.expand(2, -1)), episode, text)
    torch.testing.assert_close(twice, fuse(make(), episode, text))
    with pytest.raises(ValueError, match="background embedding has 4 tokens, num_tokens is 3"):
        make(background_embedding=torch.zeros(4, TEXT_DIM))


def test_a_state_brings_its_own_number_of_background_tokens(episode: dict[str, Tensor]) -> None:
    text = torch.randn(2, 2, TEXT_DIM)
    trained, other = make(background_embedding=torch.randn(3, TEXT_DIM)), make(background_embedding=BACKGROUND)
    other.load_state_dict(trained.state_dict())
    torch.testing.assert_close(fuse(other, episode, text), fuse(trained, episode, text))
    one_token = make(num_tokens=1)
    with pytest.raises(RuntimeError, match="background_embedding"):
        one_token.load_state_dict(trained.state_dict())


def test_a_text_of_zeros_is_a_text(episode: dict[str, Tensor]) -> None:
    found = fuse(make(), episode, torch.zeros(2, TOKENS, TEXT_DIM))
    torch.testing.assert_close(found, fuse(make(), episode, torch.zeros(2, 1, TEXT_DIM)))


def test_too_many_tokens() -> None:
    with pytest.raises(ValueError, match=r"must be \(B, 3, 6\) or have fewer tokens.* num_tokens 3; got \[2, 4, 6\]"):
        make().class_text(torch.zeros(2, 4, TEXT_DIM))


@pytest.mark.parametrize("use_guided_features", [False, True])
@pytest.mark.parametrize("kind", [Prototype, IFA])
def test_hosts_take_several_tokens(kind: type, use_guided_features: bool) -> None:
    torch.manual_seed(2)
    host = kind(
        {"c4": CHANNELS},
        levels=("c4",),
        guidance=lambda channels: SemanticGuidance(
            channels, text_dim=TEXT_DIM, background_embedding=BACKGROUND, num_tokens=TOKENS,
            use_guided_features=use_guided_features,
        ),
    )  # fmt: skip
    support, mask = {"c4": torch.randn(2, 2, CHANNELS, 5, 5)}, (torch.rand(2, 2, 1, 20, 20) > 0.5).float()
    query = {"c4": torch.randn(2, CHANNELS, 5, 5)}
    text = (3 * torch.randn(2, TOKENS, TEXT_DIM)).requires_grad_()
    logits = host.decode(query, host.encode(support, mask, text))
    logits.square().sum().backward()
    assert logits.shape == (2, 2, 5, 5)
    assert (text.grad.flatten(2).abs().sum(2) > 0).all()  # each token counts
    other = host.decode(query, host.encode(support, mask, text.detach().roll(1, dims=0)))
    assert not torch.allclose(other, logits)
    order = host.decode(query, host.encode(support, mask, text.detach().flip(1)))
    torch.testing.assert_close(order, logits.detach())  # which sentence comes first doesn't matter
