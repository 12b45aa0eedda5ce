# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the released IFA does otherwise."""

from __future__ import annotations

from typing import Any

import torch

from scripts.networks.hosts import IFA, ReleasedIFA


def test_released_mixes_episodes(make_episode: Any, take: Any) -> None:
    """The defect is in the support passes only; one episode, or one shot, is not affected."""
    episode = make_episode(2, 2)
    for kind, is_mixed in ((IFA, False), (ReleasedIFA, True)):
        host = kind()
        together, alone = (
            host.training_terms(q, s, m[:, :2], m[:, 2], host.encode(s, m[:, :2]))
            for q, s, m in (episode, take(episode, 0))
        )
        torch.testing.assert_close(together[0].logits[:1], alone[0].logits, rtol=1e-4, atol=1e-4)
        assert torch.allclose(together[4].logits[:2], alone[4].logits, rtol=1e-3, atol=1e-3) is not is_mixed


def test_released_without_refinement_compares_the_wrong_output(make_episode: Any) -> None:
    query, support, masks = make_episode()
    host = ReleasedIFA(use_refinement=False)
    context = host.encode(support, masks[:, :1])
    terms = host.training_terms(query, support, masks[:, :1], masks[:, 1], context)
    second = host.outputs(query, support, masks[:, :1], masks[:, 1], context, 2)["query_2"]
    torch.testing.assert_close(terms[3].logits, host.upsample(second, masks[:, 0]))
    assert torch.equal(terms[3].target, masks[:, 0])


def test_rows_of_episodes_and_shots() -> None:
    """Two episodes, three shots: prototypes 0 and 1 go to rows of other episodes, and come back mixed."""
    host = ReleasedIFA()
    prototypes = torch.tensor([[[0.0]], [[1.0]]])
    assert host.to_supports(prototypes, 3).flatten().tolist() == [0, 0, 1, 0, 1, 1]
    assert IFA().to_supports(prototypes, 3).flatten().tolist() == [0, 0, 0, 1, 1, 1]
    assert host.to_supports(prototypes, 1).flatten().tolist() == [0, 1]
    assert host.to_supports(prototypes[:1], 3).flatten().tolist() == [0, 0, 0]
    rows = torch.arange(6.0).view(6, 1, 1)
    torch.testing.assert_close(host.from_supports(rows, 3).flatten(), torch.tensor([4 / 3, 11 / 3]))  # 0, 3, 1; 4, 2, 5
    torch.testing.assert_close(IFA().from_supports(rows, 3).flatten(), torch.tensor([1.0, 4.0]))


def test_empty_shots_count_as_zero(make_episode: Any) -> None:
    _, support, masks = make_episode(1, 2)
    mask = masks[:, :2].clone()
    mask[:, 1] = 0
    prototypes = torch.tensor([[[2.0, 4.0], [0.0, 0.0]]])
    assert torch.equal(ReleasedIFA().over_shots(prototypes, mask), torch.tensor([[1.0, 2.0]]))
    first = {level: maps[:, :1] for level, maps in support.items()}
    alone = IFA().encode(first, mask[:, :1]).foreground
    torch.testing.assert_close(IFA().encode(support, mask).foreground, alone)
    assert not torch.allclose(ReleasedIFA().encode(support, mask).foreground, alone)


def test_an_object_between_the_sampled_points_vanishes() -> None:
    maps = 1 + torch.rand(1, 1, 3, 4, 4)
    mask = torch.zeros(1, 1, 1, 16, 16)
    mask[..., 2, 2] = 1  # points lie at 0, 5, 10 and 15
    released, corrected = (kind().pool(maps, mask)[0, 0] for kind in (ReleasedIFA, IFA))
    assert released[0].tolist() == [0, 0, 0]
    assert (corrected[0] >= 1).all()
    torch.testing.assert_close(released[1], maps.mean((0, 1, 3, 4)))


def test_it_never_gives_up() -> None:
    mask = torch.zeros(2, 3, 1, 8, 8)
    assert ReleasedIFA().has_any_foreground(mask).tolist() == [True, True]
    assert IFA().has_any_foreground(mask).tolist() == [False, False]


def test_with_refinement_its_terms_are_the_published_ones_for_one_shot(make_episode: Any) -> None:
    query, support, masks = make_episode(2, 1)
    terms = []
    for kind in (IFA, ReleasedIFA):
        host = kind()
        context = host.encode(support, masks[:, :1])
        terms.append(host.training_terms(query, support, masks[:, :1], masks[:, 1], context))
    for ours, theirs in zip(*terms, strict=True):
        torch.testing.assert_close(ours.logits, theirs.logits)
        assert torch.equal(ours.target, theirs.target)
