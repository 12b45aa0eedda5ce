# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""PMMs and its residual variant."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from scripts.losses import EpisodeLoss
from scripts.networks.hosts import PMMs, RPMMs
from scripts.networks.hosts.pmms import LevelEmbedding, part_widths
from scripts.networks.semantic_guidance import SemanticGuidance

TEXT_DIM = 8
KINDS = [PMMs, RPMMs]


def make(channels: dict[str, int], kind: Any = PMMs, **options: Any) -> Any:
    torch.manual_seed(0)
    return kind(channels, **{"embedding_channels": 16, "dropout": 0.0, **options}).eval()


@pytest.mark.parametrize(("batch", "shots"), [(1, 1), (2, 1), (1, 5), (2, 5)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_equals_its_episodes(
    make_network: Any, make_episode: Any, take: Any, channels: Any, kind: Any, batch: int, shots: int
) -> None:
    host = make(channels, kind)
    network = make_network(host)
    episode = make_episode(batch, shots)
    query, support, masks = episode
    context = host.encode(support, masks[:, :shots])
    logits = host.decode(query, context)
    terms = host.training_terms(query, support, masks[:, :shots], masks[:, shots], context)
    assert logits.shape == (batch, 2, 12, 12)
    assert len(terms) == len(host.counts)
    torch.testing.assert_close(terms[-1].logits, host.upsample(logits, masks[:, shots]))
    for index in range(batch):
        query, support, masks = take(episode, index)
        alone = network(query, support, masks[:, :shots])
        torch.testing.assert_close(alone, logits[index : index + 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_twice_gives_the_same_and_the_start_is_in_the_state(make_episode: Any, channels: Any, kind: Any) -> None:
    query, support, masks = make_episode()
    host, again = make(channels, kind), make(channels, kind)
    first = host.decode(query, host.encode(support, masks[:, :1]))
    assert torch.equal(first, host.decode(query, host.encode(support, masks[:, :1])))
    again.draw_starts(torch.Generator().manual_seed(7))
    assert not torch.allclose(again.decode(query, again.encode(support, masks[:, :1])), first)
    again.load_state_dict(host.state_dict())
    assert torch.equal(again.decode(query, again.encode(support, masks[:, :1])), first)


def test_shots_share_one_mixture(make_episode: Any, channels: Any) -> None:
    """Two shots equal one shot with both maps side by side."""
    _, support, masks = make_episode(1, 2)
    host = make(channels)
    context = host.encode(support, masks[:, :2])
    maps = host.embed({level: value[0] for level, value in support.items()})
    weights = host.region_weights(masks[0, :2], maps)
    features, weights = (each.transpose(0, 1).flatten(1).unsqueeze(0) for each in (maps, weights))
    torch.testing.assert_close(context.means, host.find_means(features, weights))


def test_vanishing_mask_is_resized_by_area(make_episode: Any, channels: Any) -> None:
    _, support, masks = make_episode()
    mask = torch.zeros_like(masks[:, :1])
    mask[..., 10, 10] = 1  # between the points that a resize to 12 x 12 with aligned corners samples
    means = make(channels).encode(support, mask).means[:, 0]
    torch.testing.assert_close(means.norm(dim=2), torch.ones(1, 3), rtol=1e-2, atol=0)


def test_ignored_pixels_are_on_neither_side(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode()
    host = make(channels)
    unsure = masks[:, :1].clone()
    unsure[..., :20] = 255
    weights = host.region_weights(unsure[0], host.embed(query))
    assert weights[..., :4].sum() == 0
    unknown = torch.full_like(masks[:, 1], 255)
    context = host.encode(support, unsure)
    assert EpisodeLoss()(host.training_terms(query, support, unsure, unknown, context), unknown).item() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_everything_learns(make_episode: Any, channels: Any, kind: Any) -> None:
    query, support, masks = make_episode(4, 1)
    host = make(channels, kind).train()
    optimizer = torch.optim.Adam(host.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        context = host.encode(support, masks[:, :1])
        loss = EpisodeLoss()(host.training_terms(query, support, masks[:, :1], masks[:, 1], context), masks[:, 1])
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in host.parameters())
        assert (
            sum(bool(parameter.grad.abs().sum() == 0) for parameter in host.parameters()) <= 4
        )  # biases before a norm
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use_guided_features", [False, True])
def test_guidance(make_episode: Any, channels: Any, kind: Any, use_guided_features: bool) -> None:
    query, support, masks = make_episode(2, 2)
    text = torch.randn(2, 1, TEXT_DIM)
    factory = partial(
        SemanticGuidance,
        text_dim=TEXT_DIM,
        background_embedding=torch.randn(TEXT_DIM),
        use_guided_features=use_guided_features,
    )
    host = make(channels, kind, guidance=factory)
    context = host.encode(support, masks[:, :2], text)
    torch.testing.assert_close(context.means.norm(dim=3), torch.ones(context.means.shape[:3]), rtol=1e-4, atol=0)
    terms = host.training_terms(query, support, masks[:, :2], masks[:, 2], context)
    EpisodeLoss()(terms, masks[:, 2]).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in host.guidance.parameters())
    assert not torch.allclose(host.encode(support, masks[:, :2], -text).means, context.means)
    if not use_guided_features:  # every mean moves by its side's text, then all are unit vectors again
        plain = make(channels, kind)
        plain.load_state_dict({k: v for k, v in host.state_dict().items() if not k.startswith("guidance")})
        own = plain.encode(support, masks[:, :2]).means
        maps = host.embed({k: v.flatten(0, 1) for k, v in support.items()}).unflatten(0, (2, 2))
        pooled, _ = host.guidance.pooled_text(maps, masks[:, :2], host.guidance.class_text(text))
        mixed = 0.7 * own + 0.3 * pooled.unsqueeze(2)
        torch.testing.assert_close(context.means, mixed / mixed.norm(dim=3, keepdim=True), rtol=1e-4, atol=1e-5)


def test_the_background_text_learns_through_the_match_alone(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode()
    host = make(channels)
    means = host.encode(support, masks[:, :1]).means.detach().requires_grad_()
    assert not host.match(host.embed(query), means).requires_grad
    factory = partial(SemanticGuidance, text_dim=TEXT_DIM, background_embedding=torch.randn(TEXT_DIM))
    host = make(channels, guidance=factory)
    host.match(host.embed(query), means)[:, 1].sum().backward()
    assert means.grad[:, 1].abs().max() > 0


@pytest.mark.parametrize("is_guided", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_torchscript(make_network: Any, make_episode: Any, channels: Any, kind: Any, is_guided: bool) -> None:
    factory = (
        partial(SemanticGuidance, text_dim=TEXT_DIM, background_embedding=torch.randn(TEXT_DIM)) if is_guided else None
    )
    network = make_network(make(channels, kind, guidance=factory)).eval()
    query, support, masks = make_episode(2, 2)
    text = torch.randn(2, 1, TEXT_DIM)
    with torch.no_grad():
        expected = network(query, support, masks[:, :2], text)
        torch.testing.assert_close(torch.jit.script(network)(query, support, masks[:, :2], text), expected)


def test_one_context_serves_a_batch(make_episode: Any, take: Any, channels: Any) -> None:
    host = make(channels, RPMMs)
    episode = make_episode(3, 2)
    _, support, masks = take(episode, 0)
    context = host.encode(support, masks[:, :2])
    together = host.decode(episode[0], context)
    for index in range(3):
        one = {level: value[index : index + 1] for level, value in episode[0].items()}
        torch.testing.assert_close(host.decode(one, context), together[index : index + 1], rtol=1e-4, atol=1e-5)


def test_the_embedding_is_one_convolution() -> None:
    torch.manual_seed(0)
    embedding = LevelEmbedding([300, 4], 5).eval()
    assert part_widths([300, 4]) == [256, 44, 4]
    maps = [torch.randn(2, width, 7, 6) for width in (300, 4)]
    weight = torch.cat(list(embedding.weights), dim=1)
    expected = torch.conv2d(torch.cat(maps, 1), weight, embedding.bias, padding=2, dilation=2)
    torch.testing.assert_close(embedding(maps), embedding.norm(expected).relu(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_level(channels: Any, kind: Any) -> None:
    with pytest.raises(ValueError, match=rf"host '{kind.name}' asks for levels \['c9'\]"):
        kind(channels, levels=["c4", "c9"])
