# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the released PMMs and RPMMs do otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scripts.losses import EpisodeLoss
from scripts.networks.hosts import PMMs, ReleasedPMMs, ReleasedRPMMs, RPMMs


def make(channels: dict[str, int], kind: Any = ReleasedPMMs, **options: Any) -> Any:
    torch.manual_seed(0)
    return kind(channels, **{"embedding_channels": 16, "dropout": 0.0, **options}).eval()


@pytest.mark.parametrize(("kind", "released"), [(PMMs, ReleasedPMMs), (RPMMs, ReleasedRPMMs)])
def test_only_the_released_support_learns_nothing(make_episode: Any, channels: Any, kind: Any, released: Any) -> None:
    query, support, masks = make_episode(2, 1)
    for each, learns in ((kind, True), (released, False)):
        host = make(channels, each)
        own = {level: value.clone().requires_grad_() for level, value in support.items()}
        terms = host.training_terms(query, own, masks[:, :1], masks[:, 1], host.encode(own, masks[:, :1]))
        gradients = torch.autograd.grad(
            EpisodeLoss()(terms, masks[:, 1]), [own[level] for level in host.levels], allow_unused=True
        )
        assert all((value is not None and bool(value.abs().max() > 0)) is learns for value in gradients)


def test_released_sums_the_stages_for_several_shots(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(1, 2)
    host = make(channels, ReleasedRPMMs, sums_stages=True)
    context = host.encode(support, masks[:, :2])
    stages = host.stages(query, context)
    torch.testing.assert_close(host.decode(query, context), sum(each.softmax(1) for each in stages) / 5)
    host.sums_stages = False
    assert torch.equal(host.decode(query, context), stages[-1])


@pytest.mark.parametrize("kind", [ReleasedPMMs, ReleasedRPMMs])
def test_an_object_between_the_sampled_points_vanishes(make_episode: Any, channels: Any, kind: Any) -> None:
    _, support, masks = make_episode()
    mask = torch.zeros_like(masks[:, :1])
    mask[..., 10, 10] = 1  # between the points that a resize to 12 x 12 with aligned corners samples
    means = make(channels, kind).encode(support, mask).means
    assert means[:, 0].abs().max() == 0
    assert means[:, 1].abs().max() > 0


@pytest.mark.parametrize(("kind", "terms"), [(ReleasedPMMs, 1), (ReleasedRPMMs, 3)])
def test_unknown_pixels_of_the_query_are_background(make_episode: Any, channels: Any, kind: Any, terms: int) -> None:
    query, support, masks = make_episode()
    target = masks[:, 1].clone()
    target[..., :4, :] = 255
    host = make(channels, kind)
    found = host.training_terms(query, support, masks[:, :1], target, host.encode(support, masks[:, :1]))
    assert len(found) == terms
    for term in found:
        assert (term.target[..., :4, :] == 0).all()
        assert torch.equal(term.target[..., 4:, :], masks[:, 1, :, 4:])
    assert (target[..., :4, :] == 255).all(), "the caller's mask is left as it is"


@pytest.mark.parametrize(("kind", "released"), [(PMMs, ReleasedPMMs), (RPMMs, ReleasedRPMMs)])
def test_the_answer_to_one_shot_is_the_published_one(
    make_episode: Any, channels: Any, kind: Any, released: Any
) -> None:
    query, support, masks = make_episode(2, 1)
    ours, theirs = make(channels, kind), make(channels, released)
    theirs.load_state_dict(ours.state_dict())
    answers = [host.decode(query, host.encode(support, masks[:, :1])) for host in (ours, theirs)]
    torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-5)
