# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from scripts.networks.hosts import Prototype
from scripts.networks.semantic_guidance import SemanticGuidance

TEXT_DIM = 8


@pytest.fixture
def guidance() -> partial[SemanticGuidance]:
    torch.manual_seed(0)
    return partial(SemanticGuidance, text_dim=TEXT_DIM, background_embedding=torch.randn(TEXT_DIM))


def test_value_by_hand() -> None:
    """Two cells: the left one foreground with feature (1, 0), the right one background with (0, 1)."""
    support = {"c4": torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(1, 1, 2, 1, 2)}
    mask = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 1, 1, 4)
    query = {"c4": torch.tensor([[3.0, 1.0], [4.0, 0.0]]).view(1, 2, 1, 2)}
    host = Prototype(levels=["c4"])
    logits = host.decode(query, host.encode(support, mask))
    # cosines with (1, 0) and (0, 1): (0.6, 0.8) and (1, 0); score -0.2 and 1; logits score / 0.2
    torch.testing.assert_close(logits[0, 1, 0], torch.tensor([-1.0, 5.0]))
    torch.testing.assert_close(logits[0, 0], -logits[0, 1])


@pytest.mark.parametrize(("batch", "shots"), [(1, 1), (2, 1), (1, 5), (2, 5)])
@pytest.mark.parametrize("is_guided", [False, True])
def test_a_batch_equals_its_episodes(
    make_network: Any,
    make_episode: Any,
    take: Any,
    channels: Any,
    guidance: Any,
    batch: int,
    shots: int,
    is_guided: bool,
) -> None:
    network = make_network(Prototype(channels, guidance=guidance if is_guided else None))
    text = torch.randn(batch, 1, TEXT_DIM)
    episode = make_episode(batch, shots)
    logits = network(*episode[:2], episode[2][:, :shots], text)
    assert logits.shape == (batch, 2, 12, 12)
    for index in range(batch):
        query, support, masks = take(episode, index)
        one = network(query, support, masks[:, :shots], text[index : index + 1])
        torch.testing.assert_close(one, logits[index : index + 1])


def test_finds_the_object(make_network: Any, make_episode: Any) -> None:
    query, support, masks = make_episode(4, 1, seed=3)
    logits = make_network(Prototype())(query, support, masks[:, :1])
    predicted = F.interpolate(logits, masks.shape[-2:], mode="bilinear").argmax(1) == 1
    truth = masks[:, 1, 0] == 1
    dice = 2 * (predicted & truth).sum((1, 2)) / (predicted.sum((1, 2)) + truth.sum((1, 2)))
    assert dice.min() > 0.8


def test_shots_are_averaged(make_episode: Any) -> None:
    _, support, masks = make_episode(1, 5)
    host = Prototype()
    together = host.encode(support, masks[:, :5]).prototypes
    alone = [host.encode({k: v[:, i : i + 1] for k, v in support.items()}, masks[:, i : i + 1]) for i in range(5)]
    torch.testing.assert_close(together, torch.stack([context.prototypes for context in alone]).mean(0))


def test_empty_shots_are_left_out(make_episode: Any) -> None:
    _, support, masks = make_episode(1, 2)
    masks = masks[:, :2].clone()
    masks[:, 1] = 0
    host = Prototype()
    alone = host.encode({level: value[:, :1] for level, value in support.items()}, masks[:, :1])
    torch.testing.assert_close(host.encode(support, masks).prototypes, alone.prototypes)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0), (1.0, 1)])
def test_empty_and_full_masks(make_network: Any, make_episode: Any, value: float, expected: int) -> None:
    query, support, masks = make_episode(1, 2)
    logits = make_network(Prototype())(query, support, torch.full_like(masks[:, :2], value))
    assert (logits.argmax(1) == expected).all()


def test_a_mask_of_one_pixel_pools_its_cell(make_episode: Any) -> None:
    _, support, masks = make_episode()
    mask = torch.zeros_like(masks[:, :1])
    mask[..., 9, 22] = 1
    prototype = Prototype(levels=["c3"]).encode(support, mask).prototypes[0, 0]
    # One pixel is 1/16 of its cell; the pooling's eps of 1e-5 is then 1.6e-4 of the sum.
    torch.testing.assert_close(prototype, support["c3"][0, 0, :, 2, 5], rtol=2e-4, atol=0)


def test_ignored_pixels_belong_to_neither_side(make_episode: Any) -> None:
    _, support, masks = make_episode()
    mask = masks[:, :1].clone()
    mask[..., :24] = 255
    host = Prototype(levels=["c3"])
    before = host.encode(support, mask).prototypes
    changed = support["c3"].clone()
    changed[..., :6] = 100.0
    torch.testing.assert_close(host.encode({"c3": changed}, mask).prototypes, before)


@pytest.mark.parametrize("use_guided_features", [False, True])
def test_guidance_learns(make_network: Any, make_episode: Any, channels: Any, use_guided_features: bool) -> None:
    query, support, masks = make_episode(2, 1)
    factory = partial(
        SemanticGuidance,
        text_dim=TEXT_DIM,
        background_embedding=torch.randn(TEXT_DIM),
        use_guided_features=use_guided_features,
    )
    host = Prototype(channels, guidance=factory)
    context = host.encode(support, masks[:, :1], torch.randn(2, 1, TEXT_DIM))
    (term,) = host.training_terms(query, support, masks[:, :1], masks[:, 1], context)
    assert term.logits.shape[-2:] == masks.shape[-2:]
    F.cross_entropy(term.logits, term.target[:, 0].long()).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in host.parameters())


def test_alpha_zero_is_the_plain_host(make_network: Any, make_episode: Any, channels: Any, guidance: Any) -> None:
    query, support, masks = make_episode()
    guided = make_network(Prototype(channels, guidance=partial(guidance, alpha=0.0)))
    plain = make_network(Prototype(channels))(query, support, masks[:, :1])
    torch.testing.assert_close(guided(query, support, masks[:, :1], torch.randn(1, 1, TEXT_DIM)), plain)
    moved = make_network(Prototype(channels, guidance=guidance))
    assert not torch.allclose(moved(query, support, masks[:, :1], torch.randn(1, 1, TEXT_DIM)), plain)


@pytest.mark.parametrize("use_guided_features", [False, True])
def test_torchscript(
    make_network: Any, make_episode: Any, channels: Any, guidance: Any, use_guided_features: bool
) -> None:
    host = Prototype(channels, guidance=partial(guidance, use_guided_features=use_guided_features))
    network = make_network(host).eval()
    query, support, masks = make_episode(2, 5)
    text = torch.randn(2, 1, TEXT_DIM)
    scripted = torch.jit.script(network)(query, support, masks[:, :5], text)
    torch.testing.assert_close(scripted, network(query, support, masks[:, :5], text))


def test_torchscript_without_guidance(make_network: Any, make_episode: Any) -> None:
    network = make_network(Prototype()).eval()
    query, support, masks = make_episode(2, 1)
    scripted = torch.jit.script(network)(query, support, masks[:, :1])
    torch.testing.assert_close(scripted, network(query, support, masks[:, :1]))


def test_errors(channels: Any, guidance: Any, make_episode: Any) -> None:
    with pytest.raises(ValueError, match="needs the backbone's channels"):
        Prototype(guidance=guidance)
    with pytest.raises(ValueError, match="temperature must be positive, got -1"):
        Prototype(temperature=-1)
    _, support, masks = make_episode()
    host = Prototype(channels, guidance=guidance)
    with pytest.raises(ValueError, match="needs text_embedding"):
        host.encode(support, masks[:, :1])
    with pytest.raises(ValueError, match=r"must be \(B, 1, 8\).*got \[1, 3, 8\]"):
        host.encode(support, masks[:, :1], torch.randn(1, 3, TEXT_DIM))
