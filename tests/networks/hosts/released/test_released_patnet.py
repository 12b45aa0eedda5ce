# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the released PATNet does otherwise."""

from __future__ import annotations

from typing import Any

import torch

from scripts.networks.hosts import PATNet, ReleasedPATNet


def test_released_votes() -> None:
    """One vote of three is enough where no pixel has more; it isn't where another has three."""
    logits = torch.zeros(2, 3, 2, 1, 2)
    logits[:, :, 0] = 1.0
    logits[0, 0, 1, 0, 0] = 2.0
    logits[1, :, 1, 0, 1] = 2.0
    logits[1, 0, 1, 0, 0] = 2.0
    released = ReleasedPATNet.merge_shots(None, logits).argmax(1)
    assert released.tolist() == [[[1, 0]], [[0, 1]]]
    corrected = PATNet.merge_shots(None, logits).argmax(1)
    assert corrected.tolist() == [[[0, 0]], [[0, 1]]]


def test_released_counts_unknown_pixels_as_background(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(1, 1)
    masks[:, 1, :, :4] = 255
    for kind, value in ((PATNet, 255), (ReleasedPATNet, 0)):
        host = kind(channels)
        (term,) = host.training_terms(query, support, masks[:, :1], masks[:, 1], host.encode(support, masks[:, :1]))
        assert (term.target[:, :, :4] == value).all()
        assert torch.equal(term.target[:, :, 4:], masks[:, 1, :, 4:])


def test_one_shot_answers_by_itself() -> None:
    logits = torch.randn(2, 1, 2, 3, 3)
    assert torch.equal(ReleasedPATNet.merge_shots(None, logits), logits[:, 0])


def test_no_vote_at_all_is_foreground_everywhere() -> None:
    """Zero votes are as many as the highest number of votes."""
    logits = torch.zeros(1, 3, 2, 1, 2)
    logits[:, :, 0] = 1.0
    assert ReleasedPATNet.merge_shots(None, logits).argmax(1).tolist() == [[[0, 0]]]
    logits[0, 0, 1, 0, 0] = 2.0
    assert ReleasedPATNet.merge_shots(None, logits).tolist() == [[[[0.0, 1.0]], [[1.0, 0.0]]]]


def test_two_sides_of_a_mask_are_all_of_it(channels: Any) -> None:
    """Unknown pixels are background; what round-off leaves counts."""
    host = ReleasedPATNet(channels)
    mask = torch.zeros(1, 1, 9, 9)
    mask[..., 4:] = 1
    mask[..., :2, :] = 255
    weights = host.mask_weights(mask, [4, 4], mask)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(1, 4, 4))
    assert weights[0, 1, 0].tolist() == [1.0] * 4
    assert PATNet(channels).mask_weights(mask, [4, 4], mask)[0, :, 0].sum() == 0


def test_fine_tuning_compares_the_first_stage_alone(channels: Any) -> None:
    """KL(true || found) of the raw prototypes' softmax, averaged over all episodes, times their number."""
    torch.manual_seed(0)
    host = ReleasedPATNet(channels)
    true, found = ({level: torch.randn(2, width) for level, width in channels.items()} for _ in range(2))
    p, q = (each["c3"].softmax(dim=1) for each in (true, found))
    expected = sum((p[b] * (p[b] / q[b]).log()).sum() for b in range(2))
    torch.testing.assert_close(host.divergence(true, found, {}), expected)
    found["c4"] = found["c5"] = torch.zeros(2, 1)
    torch.testing.assert_close(host.divergence(true, found, {}), expected)
    assert host.divergence(true, true, {}).abs() < 1e-6


def test_fine_tuning_does_not_reach_the_anchors(make_episode: Any, channels: Any) -> None:
    _, support, masks = make_episode(2, 2)
    released = ReleasedPATNet(channels)
    assert not released.adaptation_loss(support, masks[:, :2], released.encode(support, masks[:, :2])).requires_grad
