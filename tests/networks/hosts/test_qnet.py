# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from scripts.losses import EpisodeLoss
from scripts.networks.hosts import QNet
from scripts.networks.semantic_guidance import SemanticGuidance

TEXT_DIM = 8
SMALL = {"embedding_channels": 16, "threshold_channels": 9}


def make(channels: dict[str, int], kind: type[QNet] = QNet, **options: Any) -> QNet:
    torch.manual_seed(0)
    return kind(channels, **{**SMALL, "initial_threshold": -8.0, **options})


@pytest.mark.parametrize(("batch", "shots"), [(1, 1), (2, 1), (1, 5), (2, 5)])
@pytest.mark.parametrize("steps", [0, 3])
def test_a_batch_equals_its_episodes(
    make_episode: Any, take: Any, channels: Any, batch: int, shots: int, steps: int
) -> None:
    host = make(channels, refinement_steps=steps).eval()
    episode = make_episode(batch, shots)
    query, support, masks = episode
    context = host.encode(support, masks[:, :shots])
    logits = host.decode(query, context)
    terms = host.training_terms(query, support, masks[:, :shots], masks[:, shots], context)
    assert logits.shape == (batch, 2, 48, 48)
    assert len(terms) == 1 + batch
    for index in range(batch):
        query, support, masks = take(episode, index)
        own = host.encode(support, masks[:, :shots])
        torch.testing.assert_close(host.decode(query, own), logits[index : index + 1], rtol=1e-4, atol=1e-4)
        alone = host.training_terms(query, support, masks[:, :shots], masks[:, shots], own)
        torch.testing.assert_close(alone[0].logits, terms[0].logits[index : index + 1], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(alone[1].logits, terms[1 + index].logits, rtol=1e-4, atol=1e-4)
        assert torch.equal(alone[1].target, terms[1 + index].target)
        assert (alone[1].weight, terms[1 + index].weight) == (1.0, 1.0 / batch)


def test_prediction_by_the_definition(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(1, 2)
    host = make(channels, fine_weight=0.7)
    probability = 0
    mean = query["c5"].mean((2, 3))
    first, second = host.threshold_head
    t = second(first(mean)) - 8
    for level, embed, weight in (("c4", host.embed_fine, 0.7), ("c5", host.embed_coarse, 0.3)):
        maps = F.interpolate(embed(support[level][0]), (48, 48), mode="bilinear", align_corners=False)
        shares = masks[0, :2] / (masks[0, :2].sum((2, 3), keepdim=True) + 1e-5)
        prototype = (maps * shares).sum((2, 3)).mean(0)
        cosine = F.cosine_similarity(embed(query[level]), prototype[None, :, None, None])
        y = 1 - torch.sigmoid(0.5 * (-20 * cosine.unsqueeze(1) - t))
        probability = probability + weight * F.interpolate(y, (48, 48), mode="bilinear", align_corners=True)
    logits = host.decode(query, host.encode(support, masks[:, :2]))
    torch.testing.assert_close(logits.softmax(1)[:, 1:], probability)
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(1, 48, 48))


def test_finds_the_object(make_network: Any, make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(4, 1, seed=3)
    logits = make_network(make(channels, levels=("c3", "c4"), initial_threshold=-15.0))(query, support, masks[:, :1])
    predicted, truth = logits.argmax(1) == 1, masks[:, 1, 0] == 1
    dice = 2 * (predicted & truth).sum((1, 2)) / (predicted.sum((1, 2)) + truth.sum((1, 2)))
    assert dice.min() > 0.7


def test_the_answer_follows_the_query_size(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode()
    host = make(channels)
    context = host.encode(support, masks[:, :1])
    wide = {level: value.repeat(1, 1, 1, 2) for level, value in query.items()}
    assert host.decode(wide, context).shape == (1, 2, 48, 96)


def test_refinement_is_for_evaluation_and_leaves_nothing_behind(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode()
    host, plain = make(channels, refinement_steps=7), make(channels)
    context = host.encode(support, masks[:, :1])
    prototypes = context.prototypes.clone()
    host.train()
    torch.testing.assert_close(host.decode(query, context), plain.decode(query, context))
    host.eval()
    refined = host.decode(query, context)
    assert (refined - plain.decode(query, context)).abs().max() > 1e-3
    assert torch.equal(context.prototypes, prototypes)
    assert torch.equal(host.decode(query, context), refined)


def test_no_alignment_for_a_query_that_is_predicted_empty(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(2, 1)
    host = make(channels)
    context = host.encode(support, masks[:, :1])
    hidden = context._replace(prototypes=torch.stack([context.prototypes[0], 0 * context.prototypes[1]]))
    terms = host.training_terms(query, support, masks[:, :1], masks[:, 1], hidden)
    assert [term.weight for term in terms] == [1.0, 0.5]
    assert torch.equal(terms[1].target, masks[0, :1])
    assert terms[0].background_weight == pytest.approx(0.1)
    assert terms[1].background_weight == 1


def test_empty_shots_are_left_out(make_episode: Any, channels: Any) -> None:
    _, support, masks = make_episode(1, 2)
    one_empty = masks[:, :2].clone()
    one_empty[:, 1] = 0
    first = {level: value[:, :1] for level, value in support.items()}
    alone = make(channels).encode(first, one_empty[:, :1]).prototypes
    torch.testing.assert_close(make(channels).encode(support, one_empty).prototypes, alone)


def test_without_foreground_the_threshold_decides(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode()
    host = make(channels)
    logits = host.decode(query, host.encode(support, torch.zeros_like(masks[:, :1])))
    expected = torch.sigmoid(host.threshold(query) / 2).view(1, 1, 1).expand(1, 48, 48)
    torch.testing.assert_close(logits.softmax(1)[:, 1], expected)


def test_ignored_pixels_do_not_count(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode()
    host = make(channels)
    unsure = masks[:, :1].clone()
    unsure[unsure == 0] = 255
    torch.testing.assert_close(host.encode(support, unsure), host.encode(support, masks[:, :1]))
    unknown = torch.full_like(masks[:, 1], 255)
    terms = host.training_terms(query, support, unsure, unknown, host.encode(support, unsure))
    loss = EpisodeLoss()(terms, unknown)
    loss.backward()
    assert torch.isfinite(loss)
    assert EpisodeLoss()(terms[:1], unknown).item() == 0


def test_everything_learns(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(4, 1)
    host = make(channels)
    optimizer = torch.optim.Adam(host.parameters(), lr=3e-3)
    losses = []
    for _ in range(15):
        context = host.encode(support, masks[:, :1])
        loss = EpisodeLoss()(host.training_terms(query, support, masks[:, :1], masks[:, 1], context), masks[:, 1])
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in host.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("use_guided_features", [False, True])
def test_guidance(make_episode: Any, channels: Any, use_guided_features: bool) -> None:
    query, support, masks = make_episode(2, 2)
    text = torch.randn(2, 1, TEXT_DIM)
    factory = partial(
        SemanticGuidance,
        text_dim=TEXT_DIM,
        background_embedding=torch.randn(TEXT_DIM),
        use_guided_features=use_guided_features,
    )
    host = make(channels, guidance=factory)
    context = host.encode(support, masks[:, :2], text)
    terms = host.training_terms(query, support, masks[:, :2], masks[:, 2], context)
    EpisodeLoss()(terms, masks[:, 2]).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in host.parameters())
    assert not torch.allclose(host.encode(support, masks[:, :2], -text).prototypes, context.prototypes)
    if not use_guided_features:  # the text enters after the average over shots
        plain = make(channels)
        plain.load_state_dict({k: v for k, v in host.state_dict().items() if not k.startswith("guidance")})
        own = plain.encode(support, masks[:, :2]).prototypes
        with torch.no_grad():
            scale = host.embed(support_of_first_shot(support))[0].unsqueeze(1)
            both = torch.stack([own[:, 0], own[:, 0]], dim=1)
            fused = host.guidance.fuse(both, scale, masks[:, :1], host.guidance.class_text(text))[:, 0]
        alone = host.encode({k: v[:, :1] for k, v in support.items()}, masks[:, :1], text).prototypes
        host.guidance.alpha = 0.0
        torch.testing.assert_close(host.encode(support, masks[:, :2], text).prototypes, own)
        first = plain.encode({k: v[:, :1] for k, v in support.items()}, masks[:, :1]).prototypes
        torch.testing.assert_close(alone[:, 0] - 0.7 * first[:, 0], fused - 0.7 * own[:, 0])


def support_of_first_shot(support: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {level: value[:, 0] for level, value in support.items()}


@pytest.mark.parametrize("is_guided", [False, True])
@pytest.mark.parametrize("steps", [0, 2])
def test_torchscript(make_network: Any, make_episode: Any, channels: Any, is_guided: bool, steps: int) -> None:
    factory = (
        partial(SemanticGuidance, text_dim=TEXT_DIM, background_embedding=torch.randn(TEXT_DIM)) if is_guided else None
    )
    network = make_network(make(channels, guidance=factory, refinement_steps=steps)).eval()
    query, support, masks = make_episode(2, 2)
    text = torch.randn(2, 1, TEXT_DIM)
    with torch.no_grad():
        expected = network(query, support, masks[:, :2], text)
        torch.testing.assert_close(torch.jit.script(network)(query, support, masks[:, :2], text), expected)


def test_one_context_serves_a_batch(make_episode: Any, take: Any, channels: Any) -> None:
    host = make(channels, refinement_steps=2).eval()
    episode = make_episode(3, 2)
    _, support, masks = take(episode, 0)
    context = host.encode(support, masks[:, :2])
    together = host.decode(episode[0], context)
    for index in range(3):
        one = {level: value[index : index + 1] for level, value in episode[0].items()}
        torch.testing.assert_close(host.decode(one, context), together[index : index + 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"levels": ["c4"]}, r"works on two levels, a fine and a coarse one, got \['c4'\]"),
        ({"levels": ["c4", "c9"]}, r"asks for levels \['c9'\]"),
        ({"fine_weight": 1.5}, r"fine_weight must be in \[0, 1\].*got 1.5"),
        ({"background_weight": 0.0}, "background_weight positive"),
    ],
)
def test_errors(channels: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QNet(channels, **arguments)
