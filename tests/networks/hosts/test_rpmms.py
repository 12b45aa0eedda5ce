# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""RPMMs: three passes, each of which sees the answer of the one before."""

from __future__ import annotations

from typing import Any

import torch

from scripts.networks.hosts import RPMMs


def make(channels: dict[str, int]) -> RPMMs:
    torch.manual_seed(0)
    return RPMMs(channels, embedding_channels=16, dropout=0.0).eval()


def test_one_three_and_six_means_per_side(make_episode: Any, channels: Any) -> None:
    _, support, masks = make_episode(2, 1)
    host = make(channels)
    assert list(host.counts) == [1, 3, 6]
    assert host.encode(support, masks[:, :1]).means.shape == (2, 2, 10, 16)


def test_every_pass_sees_the_one_before(make_episode: Any, channels: Any) -> None:
    """Pass by pass through the head, with the means of the pass alone."""
    query, support, masks = make_episode(2, 1)
    host = make(channels)
    context = host.encode(support, masks[:, :1])
    maps = host.query_map(query, context)
    part = host.head.prototypes.query_part(maps)
    before = None
    found = host.stages(query, context)
    assert len(found) == 3
    for logits, own in zip(found, (slice(0, 1), slice(1, 4), slice(4, 10)), strict=True):
        means = context.means[:, :, own]
        expected = host.head(part, means[:, 0], host.match(maps, means), before)
        torch.testing.assert_close(logits, expected)
        before = expected.softmax(dim=1)
    assert not torch.allclose(found[0], found[1])


def test_the_last_pass_answers(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(1, 2)
    host = make(channels)
    context = host.encode(support, masks[:, :2])
    assert torch.equal(host.decode(query, context), host.stages(query, context)[-1])


def test_every_pass_has_a_loss_of_the_same_weight(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(1, 1)
    host = make(channels)
    context = host.encode(support, masks[:, :1])
    terms = host.training_terms(query, support, masks[:, :1], masks[:, 1], context)
    assert [term.weight for term in terms] == [1.0, 1.0, 1.0]
    for term, logits in zip(terms, host.stages(query, context), strict=True):
        assert torch.equal(term.target, masks[:, 1])
        assert torch.equal(term.logits, host.upsample(logits, masks[:, 1]))


def test_one_context_serves_a_batch_of_queries(make_episode: Any, channels: Any) -> None:
    query, support, masks = make_episode(1, 1)
    host = make(channels)
    context = host.encode(support, masks[:, :1])
    twice = {level: maps.repeat(2, 1, 1, 1) for level, maps in query.items()}
    expected = host.decode(query, context).repeat(2, 1, 1, 1)
    torch.testing.assert_close(host.decode(twice, context), expected, rtol=1e-4, atol=1e-5)
