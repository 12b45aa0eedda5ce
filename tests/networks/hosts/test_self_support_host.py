# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a query is answered with, on the host that is trained by iteration."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from scripts.networks.hosts import IFA, ReleasedIFA

LEVELS = ("c3", "c4", "c5")


def test_finds_the_object(make_network: Any, make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(4, 1, seed=3)
    logits = make_network(IFA(channels, levels=LEVELS, neck_channels=30))(query, support, masks[:, :1])
    predicted = F.interpolate(logits, masks.shape[-2:], mode="bilinear", align_corners=True).argmax(1) == 1
    truth = masks[:, 1, 0] == 1
    dice = 2 * (predicted & truth).sum((1, 2)) / (predicted.sum((1, 2)) + truth.sum((1, 2)))
    assert dice.min() > 0.8


def test_vanishing_mask_is_pooled_by_area(make_episode: Any) -> None:
    _, support, masks = make_episode()
    mask = torch.zeros_like(masks[:, :1])
    mask[..., 3, 3] = 1  # between the sampled points of a 6 x 6 grid with aligned corners
    released = ReleasedIFA().encode(support, mask)
    corrected = IFA().encode(support, mask)
    assert released.foreground.abs().max() == 0
    torch.testing.assert_close(corrected.foreground[0], support["c4"][0, 0, :, 0, 0], rtol=1e-3, atol=0)


def test_empty_masks(make_network: Any, make_episode: Any) -> None:
    query, support, masks = make_episode(1, 2)
    one_empty = masks[:, :2].clone()
    one_empty[:, 1] = 0
    first = {level: value[:, :1] for level, value in support.items()}
    alone = IFA().encode(first, one_empty[:, :1])
    torch.testing.assert_close(IFA().encode(support, one_empty).foreground, alone.foreground)
    torch.testing.assert_close(ReleasedIFA().encode(support, one_empty).foreground, alone.foreground / 2)
    nothing = make_network(IFA())(query, support, torch.zeros_like(one_empty))
    assert (nothing.argmax(1) == 0).all()


def test_zero_features_are_finite(make_network: Any, make_episode: Any) -> None:
    query, support, masks = make_episode()
    query["c4"][..., :3, :] = 0
    assert torch.isfinite(make_network(IFA())(query, support, masks[:, :1])).all()


def test_one_context_serves_a_batch(make_episode: Any, take: Any) -> None:
    host = IFA()
    episode = make_episode(3, 2)
    _, support, masks = take(episode, 0)
    context = host.encode(support, masks[:, :2])
    together = host.decode(episode[0], context)
    for index in range(3):
        one = {level: value[index : index + 1] for level, value in episode[0].items()}
        torch.testing.assert_close(host.decode(one, context), together[index : index + 1])
