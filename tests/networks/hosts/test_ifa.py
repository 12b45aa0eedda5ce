# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from scripts.losses import EpisodeLoss
from scripts.networks.hosts import IFA
from scripts.networks.semantic_guidance import SemanticGuidance

LEVELS = ("c3", "c4", "c5")
TEXT_DIM = 8


@pytest.mark.parametrize(("batch", "shots"), [(1, 1), (2, 1), (1, 5), (2, 5)])
def test_a_batch_equals_its_episodes(
    make_network: Any, make_episode: Any, take: Any, channels: Any, batch: int, shots: int
) -> None:
    torch.manual_seed(0)
    host = IFA(channels, levels=LEVELS, neck_channels=16, has_adaptation=True)
    network = make_network(host)
    episode = make_episode(batch, shots)
    query, support, masks = episode
    context = host.encode(support, masks[:, :shots])
    logits = host.decode(query, context)
    terms = host.training_terms(query, support, masks[:, :shots], masks[:, shots], context)
    assert logits.shape == (batch, 2, 12, 12)
    for index in range(batch):
        query, support, masks = take(episode, index)
        torch.testing.assert_close(network(query, support, masks[:, :shots]), logits[index : index + 1])
        alone = host.training_terms(
            query, support, masks[:, :shots], masks[:, shots], host.encode(support, masks[:, :shots])
        )
        for mine, all_terms in zip(alone, terms, strict=True):
            count = mine.logits.shape[0]
            rows = slice(index * count, (index + 1) * count)
            torch.testing.assert_close(mine.logits, all_terms.logits[rows], rtol=1e-4, atol=1e-4)
            assert torch.equal(mine.target, all_terms.target[rows])


@pytest.mark.parametrize(
    ("use_refinement", "has_adaptation", "weights"),
    [
        (True, False, [1.0, 1.0, 1.0, 0.2, 0.4]),
        (False, False, [1.0, 1.0, 0.2, 0.4]),
        (True, True, [1.0, 1.0, 1.0, 0.2, 0.4, 0.1, 0.1, 0.1, 0.1]),
    ],
)
def test_training_terms(make_episode: Any, use_refinement: bool, has_adaptation: bool, weights: list[float]) -> None:
    query, support, masks = make_episode(2, 3)
    host = IFA(use_refinement=use_refinement, has_adaptation=has_adaptation)
    context = host.encode(support, masks[:, :3])
    terms = host.training_terms(query, support, masks[:, :3], masks[:, 3], context)
    assert [term.weight for term in terms] == weights
    for term in terms:
        of_support = term.weight in (0.2, 0.4) or term.target.shape[0] == 6
        assert torch.equal(term.target, masks[:, :3].flatten(0, 1) if of_support else masks[:, 3])
        assert term.logits.shape == (term.target.shape[0], 2, *term.target.shape[2:])


def test_the_last_query_term_is_what_decode_gives(make_episode: Any) -> None:
    query, support, masks = make_episode(2, 1)
    for use_refinement in (True, False):
        host = IFA(use_refinement=use_refinement)
        context = host.encode(support, masks[:, :1])
        terms = host.training_terms(query, support, masks[:, :1], masks[:, 1], context)
        torch.testing.assert_close(terms[0].logits, host.upsample(host.decode(query, context), masks[:, 1]))


def test_source_training_runs_one_round(make_episode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    query, support, masks = make_episode(1, 1)
    rounds: list[int] = []
    original = IFA.iterate
    monkeypatch.setattr(IFA, "iterate", lambda *arguments: rounds.append(1) or original(*arguments))
    for has_adaptation, expected in ((False, 1), (True, 3)):
        host = IFA(has_adaptation=has_adaptation)
        rounds.clear()
        host.training_terms(query, support, masks[:, :1], masks[:, 1], host.encode(support, masks[:, :1]))
        assert len(rounds) == expected


def test_all_ignored_query_mask(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode()
    host = IFA(channels, levels=LEVELS, neck_channels=16)
    unknown = torch.full_like(masks[:, 1], 255)
    terms = host.training_terms(query, support, masks[:, :1], unknown, host.encode(support, masks[:, :1]))
    loss = EpisodeLoss()(terms, unknown)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(parameter.grad).all() for parameter in host.parameters())


@pytest.mark.parametrize("neck_channels", [16, 30, 40])
def test_the_neck_learns(make_episode: Any, channels: Any, neck_channels: int) -> None:
    torch.manual_seed(0)
    query, support, masks = make_episode(4, 1)
    host = IFA(channels, levels=LEVELS, neck_channels=neck_channels)
    optimizer = torch.optim.Adam(host.parameters(), lr=3e-3)
    loss_function = EpisodeLoss()
    losses = []
    for _ in range(12):
        context = host.encode(support, masks[:, :1])
        loss = loss_function(host.training_terms(query, support, masks[:, :1], masks[:, 1], context), masks[:, 1])
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in host.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("use_guided_features", [False, True])
def test_guidance(make_episode: Any, channels: Any, use_guided_features: bool) -> None:
    torch.manual_seed(0)
    query, support, masks = make_episode(2, 2)
    text = torch.randn(2, 1, TEXT_DIM)
    factory = partial(
        SemanticGuidance,
        text_dim=TEXT_DIM,
        background_embedding=torch.randn(TEXT_DIM),
        use_guided_features=use_guided_features,
    )
    host = IFA(channels, levels=LEVELS, neck_channels=16, guidance=factory)
    context = host.encode(support, masks[:, :2], text)
    terms = host.training_terms(query, support, masks[:, :2], masks[:, 2], context)
    EpisodeLoss()(terms, masks[:, 2]).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in host.parameters())
    other = host.encode(support, masks[:, :2], -text)
    assert not torch.allclose(other.foreground, context.foreground)
    # The text enters the prototypes after the average over shots: host prototypes and text prototypes share alpha.
    plain = IFA(channels, levels=LEVELS, neck_channels=16)
    plain.load_state_dict({k: v for k, v in host.state_dict().items() if k.startswith("neck")})
    if not use_guided_features:
        host.guidance.alpha = 0.0
        torch.testing.assert_close(
            host.encode(support, masks[:, :2], text).foreground, plain.encode(support, masks[:, :2]).foreground
        )


@pytest.mark.parametrize("is_guided", [False, True])
def test_torchscript(make_network: Any, make_episode: Any, channels: Any, is_guided: bool) -> None:
    torch.manual_seed(0)
    factory = (
        partial(SemanticGuidance, text_dim=TEXT_DIM, background_embedding=torch.randn(TEXT_DIM)) if is_guided else None
    )
    network = make_network(IFA(channels, levels=LEVELS, neck_channels=16, guidance=factory)).eval()
    query, support, masks = make_episode(2, 2)
    text = torch.randn(2, 1, TEXT_DIM)
    with torch.no_grad():
        expected = network(query, support, masks[:, :2], text)
        torch.testing.assert_close(torch.jit.script(network)(query, support, masks[:, :2], text), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"levels": ["c4", "c5"]}, "works on one level unless neck_channels is given"),
        ({"channels": None, "neck_channels": 8}, "needs the backbone's channels"),
        ({"levels": ["c9"]}, r"asks for levels \['c9'\]"),
    ],
)
def test_errors(channels: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IFA(**{"channels": channels, **arguments})
