# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the released Q-Net does otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scripts.networks.hosts import QNet, ReleasedQNet

SMALL = {"embedding_channels": 16, "threshold_channels": 9, "initial_threshold": -8.0}


def make(channels: dict[str, int], kind: type[QNet] = ReleasedQNet, **options: Any) -> QNet:
    torch.manual_seed(0)
    return kind(channels, **SMALL, **options).eval()


def test_released_takes_one_episode(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(2, 1)
    host = make(channels, ReleasedQNet)
    context = host.encode(support, masks[:, :1])
    with pytest.raises(ValueError, match="one episode at a time, got 2"):
        host.training_terms(query, support, masks[:, :1], masks[:, 1], context)


def test_one_episode_trains_as_published(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(1, 1)
    terms = []
    for kind in (QNet, ReleasedQNet):
        host = make(channels, kind)
        context = host.encode(support, masks[:, :1])
        terms.append(host.training_terms(query, support, masks[:, :1], masks[:, 1], context))
    for ours, theirs in zip(*terms, strict=True):
        torch.testing.assert_close(ours.logits, theirs.logits)
        assert torch.equal(ours.target, theirs.target)
        assert ours[2:] == theirs[2:]


def test_empty_shots_count_as_zero(make_episode: Any, channels: Any) -> None:
    _, support, masks = make_episode(1, 2)
    one_empty = masks[:, :2].clone()
    one_empty[:, 1] = 0
    first = {level: value[:, :1] for level, value in support.items()}
    host = make(channels)
    alone = host.encode(first, one_empty[:, :1]).prototypes
    torch.testing.assert_close(host.encode(support, one_empty).prototypes, alone / 2)
    torch.testing.assert_close(make(channels, QNet).encode(support, one_empty).prototypes, alone)


def test_refinement_goes_another_way(make_episode: Any, channels: Any) -> None:
    """Without refinement the two answer alike; with it they don't."""
    query, support, masks = make_episode()
    for steps, are_alike in ((0, True), (3, False)):
        answers = []
        for kind in (QNet, ReleasedQNet):
            host = make(channels, kind, refinement_steps=steps)
            answers.append(host.decode(query, host.encode(support, masks[:, :1])))
        assert torch.allclose(*answers) is are_alike


def test_the_state_is_that_of_the_corrected_host(channels: Any) -> None:
    released, corrected = make(channels), make(channels, QNet)
    assert released.is_swapped
    assert not corrected.is_swapped
    corrected.load_state_dict(released.state_dict())
