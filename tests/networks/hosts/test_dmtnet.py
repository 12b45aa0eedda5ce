# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from scripts.losses import EpisodeLoss
from scripts.networks.blocks.anchor_transform import dense_correlation
from scripts.networks.hosts import DMTNet, ReleasedDMTNet
from scripts.networks.semantic_guidance import SemanticGuidance

TEXT_DIM = 8


@pytest.fixture
def host(channels: Any) -> DMTNet:
    torch.manual_seed(0)
    return DMTNet(channels).eval()


def guidance(**options: Any) -> Any:
    return partial(SemanticGuidance, text_dim=TEXT_DIM, background_embedding=torch.randn(TEXT_DIM), **options)


@pytest.mark.parametrize(("batch", "shots"), [(2, 1), (1, 5), (2, 3)])
def test_a_batch_equals_its_episodes(
    make_network: Any, make_episode: Any, take: Any, host: DMTNet, batch: int, shots: int
) -> None:
    network = make_network(host).eval()
    episode = make_episode(batch, shots)
    query, support, masks = episode
    logits = network(query, support, masks[:, :shots])
    assert logits.shape == (batch, 2, 24, 24)
    for index in range(batch):
        query, support, masks = take(episode, index)
        alone = network(query, support, masks[:, :shots])
        torch.testing.assert_close(alone, logits[index : index + 1], rtol=1e-4, atol=1e-5)


def test_shots_are_averaged_as_probabilities(make_episode: Any, host: DMTNet) -> None:
    query, support, masks = make_episode(2, 3)
    context = host.encode(support, masks[:, :3])
    single = []
    for shot in range(3):
        one = slice(shot, shot + 1)
        alone = host.encode({level: maps[:, one] for level, maps in support.items()}, masks[:, one])
        single.append(host.decode(query, alone).softmax(dim=1))
    expected = torch.stack(single).mean(dim=0)
    torch.testing.assert_close(host.decode(query, context).exp(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("is_guided", [False, True])
def test_a_mosaic_is_one_pass(make_episode: Any, channels: Any, is_guided: bool) -> None:
    """All shots share transforms and local prototypes, and every one of them has a tile; alone it is a pass."""
    torch.manual_seed(0)
    query, support, masks = make_episode(2, 5)
    text = torch.randn(2, 1, TEXT_DIM) if is_guided else None
    built = guidance() if is_guided else None
    host = DMTNet(channels, guidance=built).eval()
    other = DMTNet(channels, guidance=built, shot_merging="mosaic").eval()
    other.load_state_dict(host.state_dict())
    context = other.encode(support, masks[:, :5], text)
    assert {rows.shape[1] for rows in [*context.inverse.values(), *context.directions.values()]} == {1}
    logits = other.decode(query, context)
    terms = other.training_terms(query, support, masks[:, :5], masks[:, 5], context)
    assert [term.logits.shape for term in terms] == [(2, 2, 48, 48)] * 2
    for shot in range(5):
        changed = {level: maps.clone() for level, maps in support.items()}
        for maps in changed.values():
            maps[:, shot] = -maps[:, shot]
        assert not torch.allclose(other.decode(query, other.encode(changed, masks[:, :5], text)), logits)
    one = {level: maps[:, :1] for level, maps in support.items()}
    alone, expected = (each.decode(query, each.encode(one, masks[:, :1], text)) for each in (other, host))
    assert torch.equal(alone, expected)


def test_empty_shots_have_no_tile(make_episode: Any, channels: Any) -> None:
    torch.manual_seed(0)
    query, support, masks = make_episode(1, 4)
    masks = masks.clone()
    masks[0, [0, 2]] = 0
    host = DMTNet(channels, shot_merging="mosaic").eval()
    kept = [1, 3]
    alone = host.encode({level: maps[:, kept] for level, maps in support.items()}, masks[:, kept])
    together = host.encode(support, masks[:, :4])
    torch.testing.assert_close(host.decode(query, together), host.decode(query, alone), rtol=1e-4, atol=1e-5)


def literal_correlation(host: DMTNet, level: str, query: Tensor, support: Tensor, mask: Tensor, side: int) -> Tensor:
    """As in the paper: pseudo-inverses, transformed maps, cosine of all pairs: (B, h, w, h', w')."""
    share = F.interpolate(mask, support.shape[2:], mode="bilinear", align_corners=True)
    shares = torch.cat([1 - share, share], dim=1)
    shares[shares < 1e-5] = 0  # round-off
    index = ("c3", "c4", "c5").index(level)
    prototypes = torch.einsum("bchw,bmhw->bmc", support, shares) / (shares.sum((2, 3)).unsqueeze(2) + 1e-6)
    coarse = torch.zeros(query.shape[0], 2, *query.shape[2:])
    grid = range(0, support.shape[2], max(1, support.shape[2] // 4))
    for episode in range(query.shape[0]):
        for number in range(2):
            scores = []
            for cell in [(slice(r, r + grid.step), slice(c, c + grid.step)) for r in grid for c in grid]:
                weight = shares[episode, number][cell]
                if weight.sum() > 1e-3:
                    local = (support[episode][(slice(None), *cell)] * weight).sum((1, 2)) / weight.sum()
                    scores.append(F.cosine_similarity(query[episode], local[:, None, None], dim=0))
            coarse[episode, number] = torch.stack(scores).mean(dim=0)
    is_object = coarse.argmax(dim=1, keepdim=True)
    hard = torch.cat([1 - is_object, is_object], dim=1).float()
    of_query = torch.einsum("bchw,bmhw->bmc", query, hard) / (hard.sum((2, 3)).unsqueeze(2) + 1e-6)
    maps = [
        (torch.linalg.pinv(F.normalize(rows, dim=2)) @ F.normalize(anchors[index].weight, dim=1)).transpose(1, 2)
        for rows, anchors in ((prototypes, host.anchors), (of_query, host.query_anchors))
    ]
    left = 0.5 * (maps[0] + maps[1]) @ query.flatten(2)
    right = maps[0] @ (support * shares[:, side : side + 1]).flatten(2)
    left, right = (maps / (maps.norm(dim=1, keepdim=True) + 1e-5) for maps in (left, right))
    product = (left.transpose(1, 2) @ right).relu()
    return product.unflatten(2, support.shape[2:]).unflatten(1, query.shape[2:])


@pytest.mark.parametrize("level", ["c3", "c4", "c5"])
def test_correlations_as_in_the_paper(make_episode: Any, host: DMTNet, level: str) -> None:
    """Both branches of all levels whose cells don't overlap (grids 12, 6 and 3)."""
    query, support, masks = make_episode(2, 1)
    left, *rights = host.factors(query, host.encode(support, masks[:, :1]))
    index = ("c3", "c4", "c5").index(level)
    for side, right in zip((1, 0), rights, strict=True):
        ours = dense_correlation(left[index], right[index])[:, 0]
        expected = literal_correlation(host, level, query[level], support[level][:, 0], masks[:, 0], side)
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=2e-3)  # eps in the lengths


def test_small_objects_stay_in_the_coarse_mask(make_episode: Any, host: DMTNet, channels: Any) -> None:
    """An object in one of 16 cells: its own pixels are most similar to it, unless all cells are averaged."""
    query, support, masks = make_episode(1, 1)
    mask = torch.zeros_like(masks[:, :1])
    mask[..., 24:36, 24:36] = 1
    inside, outside = torch.eye(6)[0], torch.eye(6)[0] * 0.6 + torch.eye(6)[1] * 0.8
    share = F.interpolate(mask[:, 0], (12, 12))
    maps = share * inside[None, :, None, None] + (1 - share) * outside[None, :, None, None]
    support["c3"], query["c3"] = maps.unsqueeze(1), maps
    found = []
    for kind in (host, ReleasedDMTNet(channels)):
        scores = kind.coarse_map(maps, kind.encode(support, mask).directions["c3"])[:, 0]
        found.append(scores.argmax(dim=1, keepdim=True))
    assert torch.equal(found[0].float(), share)
    assert not found[1].any()


def test_coarse_map_is_ten_times_a_cosine(host: DMTNet) -> None:
    maps = torch.zeros(1, 6, 2, 1)
    maps[:, 2, 0] = 5.0
    directions = torch.zeros(1, 1, 2, 6)
    directions[..., 1, 2] = 0.7
    expected = torch.tensor([[[[[0.0], [0.0]], [[7.0], [0.0]]]]])
    torch.testing.assert_close(host.coarse_map(maps, directions), expected)


def test_the_order_of_query_prototypes_is_that_of_the_anchors(make_episode: Any, host: DMTNet) -> None:
    """With the query's true mask as its coarse one, row 0 is its background's mean."""
    query, _, masks = make_episode(1, 1)
    share = F.interpolate(masks[:, 1], (12, 12))
    prototypes = host.query_prototypes(query["c3"], torch.cat([1 - share, share], dim=1).unsqueeze(1))
    background = query["c3"][0][:, share[0, 0] == 0].mean(dim=1)
    torch.testing.assert_close(prototypes[0, 0, 0], background, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("value", [0, 1])
def test_masks_of_one_side(make_network: Any, make_episode: Any, host: DMTNet, value: int) -> None:
    query, support, masks = make_episode(1, 1)
    context = host.encode(support, torch.full_like(masks[:, :1], value))
    for rows in [*context.inverse.values(), *context.directions.values()]:
        assert torch.equal(rows[:, :, 1 - value], torch.zeros_like(rows[:, :, 1 - value]))
    assert torch.isfinite(host.decode(query, context)).all()


def test_unknown_support_pixels_belong_to_neither_side(make_episode: Any, host: DMTNet) -> None:
    _, support, masks = make_episode(1, 1)
    mask = masks[:, :1].clone()
    mask[..., 24:, :] = 255
    changed = {level: maps.clone() for level, maps in support.items()}
    for maps in changed.values():
        maps[..., maps.shape[-2] * 3 // 4 :, :] = 9.0
    first, second = host.encode(support, mask), host.encode(changed, mask)
    for level in ("c3", "c4"):
        torch.testing.assert_close(first.inverse[level], second.inverse[level])
        torch.testing.assert_close(first.directions[level], second.directions[level])


@pytest.mark.parametrize("kind", [DMTNet, ReleasedDMTNet])
def test_training_terms(make_episode: Any, channels: Any, kind: type[DMTNet]) -> None:
    query, support, masks = make_episode(2, 1)
    masks[:, 1, :, :4] = 255
    host = kind(channels).eval()
    context = host.encode(support, masks[:, :1])
    terms = host.training_terms(query, support, masks[:, :1], masks[:, 1], context)
    target = torch.where(masks[:, 1] == 255, 0, masks[:, 1]) if kind is ReleasedDMTNet else masks[:, 1]
    assert torch.equal(terms[0].target, target)
    assert torch.equal(terms[1].target, torch.where(target == 255, 255, 1 - target))
    assert [term.weight for term in terms] == [1.0, 1.0] + (len(terms) - 2) * [0.5 / 3]
    assert len(terms) == (5 if kind is ReleasedDMTNet else 2)
    torch.testing.assert_close(terms[0].logits, host.upsample(host.decode(query, context), target))
    query_factors, _, background = host.factors(query, context)
    logits = host.merge_shots(host.segment(query_factors, background, 1))
    torch.testing.assert_close(terms[1].logits, host.upsample(logits, target))
    assert EpisodeLoss()(terms, target).requires_grad
    assert not any(term.logits.requires_grad for term in terms[2:])


def test_decode_leaves_the_background_branch_out(
    make_episode: Any, host: DMTNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, support, masks = make_episode(1, 1)
    context = host.encode(support, masks[:, :1])
    calls: list[int] = []
    original = host.head.forward
    monkeypatch.setattr(host.head, "forward", lambda *arguments: calls.append(1) or original(*arguments))
    host.decode(query, context)
    assert len(calls) == 1
    host.training_terms(query, support, masks[:, :1], masks[:, 1], context)
    assert len(calls) == 3


def test_dropout_is_drawn_per_pass_and_in_training_only(host: DMTNet) -> None:
    torch.manual_seed(0)
    weight = torch.rand(2, 4000) + 1
    assert torch.allclose(host.anchor_rows(weight, 3), F.normalize(weight, dim=1), atol=1e-5)
    rows = host.train().anchor_rows(weight, 3)
    assert not torch.equal(rows[0], rows[1])
    torch.testing.assert_close((rows == 0).float().mean(), torch.tensor(0.2), rtol=0.05, atol=0)
    torch.testing.assert_close(rows.norm(dim=2), torch.ones(3, 2))


def test_training_draws_anew_and_test_does_not(make_episode: Any, host: DMTNet) -> None:
    query, support, masks = make_episode(1, 1)
    context = host.encode(support, masks[:, :1])
    assert torch.equal(host.decode(query, context), host.decode(query, context))
    host.train()
    torch.manual_seed(1)
    first, second = host.decode(query, context), host.decode(query, context)
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(host.decode(query, context), first)


def test_learns(make_episode: Any, channels: Any) -> None:
    torch.manual_seed(0)
    query, support, masks = make_episode(4, 1)
    host = DMTNet(channels)
    optimizer = torch.optim.Adam(host.parameters(), lr=1e-3)
    losses = []
    for _ in range(25):
        context = host.encode(support, masks[:, :1])
        loss = EpisodeLoss()(host.training_terms(query, support, masks[:, :1], masks[:, 1], context), masks[:, 1])
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in host.query_anchors.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("use_guided_features", [False, True])
def test_guidance(make_episode: Any, channels: Any, use_guided_features: bool) -> None:
    torch.manual_seed(0)
    query, support, masks = make_episode(2, 2)
    text = torch.randn(2, 1, TEXT_DIM)
    host = DMTNet(channels, guidance=guidance(use_guided_features=use_guided_features)).eval()
    context = host.encode(support, masks[:, :2], text)
    terms = host.training_terms(query, support, masks[:, :2], masks[:, 2], context)
    EpisodeLoss()(terms, masks[:, 2]).backward()
    of_text = [parameter for name, parameter in host.named_parameters() if "guidance.units" in name]
    assert of_text
    assert all(parameter.grad.abs().sum() > 0 for parameter in of_text)
    other = host.encode(support, masks[:, :2], -text)
    assert not torch.allclose(other.inverse["c4"], context.inverse["c4"])
    # Local prototypes, and so the query's own, see the text in guided maps only.
    assert torch.allclose(other.directions["c4"], context.directions["c4"]) is not use_guided_features


def test_no_share_of_the_text_is_no_text(make_episode: Any, channels: Any) -> None:
    torch.manual_seed(0)
    _, support, masks = make_episode(1, 2)
    guided = DMTNet(channels, guidance=guidance(alpha=0.0))
    found = guided.encode(support, masks[:, :2], torch.randn(1, 1, TEXT_DIM))
    plain = DMTNet(channels).encode(support, masks[:, :2])
    torch.testing.assert_close(found.inverse["c4"], plain.inverse["c4"])


@pytest.mark.parametrize("shot_merging", ["passes", "mosaic"])
@pytest.mark.parametrize("is_guided", [False, True])
def test_torchscript(make_network: Any, make_episode: Any, channels: Any, is_guided: bool, shot_merging: str) -> None:
    torch.manual_seed(0)
    host = DMTNet(channels, guidance=guidance() if is_guided else None, shot_merging=shot_merging)
    network = make_network(host).eval()
    query, support, masks = make_episode(2, 2)
    text = torch.randn(2, 1, TEXT_DIM)
    with torch.no_grad():
        expected = network(query, support, masks[:, :2], text)
        scripted = torch.jit.script(network)(query, support, masks[:, :2], text)
    torch.testing.assert_close(scripted, expected, rtol=1e-4, atol=1e-5)


def test_one_context_serves_a_batch(make_episode: Any, take: Any, host: DMTNet) -> None:
    episode = make_episode(3, 2)
    _, support, masks = take(episode, 0)
    context = host.encode(support, masks[:, :2])
    together = host.decode(episode[0], context)
    for index in range(3):
        one = {level: value[index : index + 1] for level, value in episode[0].items()}
        torch.testing.assert_close(host.decode(one, context), together[index : index + 1], rtol=1e-4, atol=1e-5)


def test_cached_features_in_half_precision(make_network: Any, make_episode: Any, host: DMTNet) -> None:
    query, support, masks = make_episode(1, 1)
    network = make_network(host).eval()
    halves = [{level: value.half() for level, value in maps.items()} for maps in (query, support)]
    found = network(*halves, masks[:, :1])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, network(query, support, masks[:, :1]), rtol=0.02, atol=0.02)


def test_adaptation_loss_is_the_supports_own(make_episode: Any, host: DMTNet) -> None:
    """Every shot is the query of its own mask; the loss is the mean over shots and episodes."""
    _, support, masks = make_episode(2, 2)
    masks[0, 0, :, :4] = 255
    loss = host.adaptation_loss(support, masks[:, :2], host.encode(support, masks[:, :2]))
    total, count = 0.0, 0
    for shot in range(2):
        one = {level: maps[:, shot : shot + 1] for level, maps in support.items()}
        own = {level: maps[:, shot] for level, maps in support.items()}
        logits = host.decode(own, host.encode(one, masks[:, shot : shot + 1]))
        target = masks[:, shot]
        large = host.upsample(logits, target)
        total += F.cross_entropy(large, target[:, 0].long(), ignore_index=255, reduction="sum").item()
        count += int((target != 255).sum())
    torch.testing.assert_close(loss.item(), total / count, rtol=1e-4, atol=1e-6)


def test_adaptation_with_a_mosaic(make_episode: Any, channels: Any) -> None:
    """Every shot is a query of the mosaic of all."""
    torch.manual_seed(0)
    _, support, masks = make_episode(2, 3)
    host = DMTNet(channels, shot_merging="mosaic").eval()
    context = host.encode(support, masks[:, :3])
    losses = []
    for shot in range(3):
        logits = host.upsample(
            host.decode({level: maps[:, shot] for level, maps in support.items()}, context), masks[:, shot]
        )
        losses.append(F.cross_entropy(logits, masks[:, shot, 0].long()))
    found = host.adaptation_loss(support, masks[:, :3], context)
    torch.testing.assert_close(found, torch.stack(losses).mean(), rtol=1e-4, atol=1e-6)


def test_adaptation_reaches_two_scales_and_lowers_its_loss(make_episode: Any, host: DMTNet) -> None:
    _, support, masks = make_episode(1, 1)
    tuned = list(host.adaptable_parameters())
    assert [parameter.shape for parameter in tuned] == [(128,), (128,)]
    assert tuned[0] is host.head.mix_middle[2].norm.weight
    assert tuned[1] is host.head.mix_finest[2].norm.weight
    context = host.encode(support, masks[:, :1])
    before = {name: value.clone() for name, value in host.state_dict().items()}
    optimizer = torch.optim.Adam(tuned, lr=0.02)
    losses = []
    for _ in range(5):
        loss = host.adaptation_loss(support, masks[:, :1], context)
        optimizer.zero_grad()
        loss.backward(inputs=tuned)
        assert all(parameter.grad.abs().sum() > 0 for parameter in tuned)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    changed = {name for name, value in host.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"head.mix_middle.2.norm.weight", "head.mix_finest.2.norm.weight"}


def test_adaptation_of_one_episode_does_not_depend_on_another(make_episode: Any, take: Any, host: DMTNet) -> None:
    """From a snapshot and with a fresh optimiser, the second of two episodes gives what it gives alone."""

    def adapted(index: int) -> Tensor:
        query, support, masks = take(episode, index)
        tuned = list(host.adaptable_parameters())
        snapshot = [parameter.detach().clone() for parameter in tuned]
        context = host.encode(support, masks[:, :1])
        optimizer = torch.optim.Adam(tuned, lr=0.1)
        for parameter, gradient in zip(
            tuned,
            torch.autograd.grad(host.adaptation_loss(support, masks[:, :1], context), tuned),
            strict=True,
        ):
            parameter.grad = gradient
        optimizer.step()
        with torch.no_grad():
            logits = host.decode(query, context)
            for parameter, value in zip(tuned, snapshot, strict=True):
                parameter.copy_(value)
        return logits

    episode = make_episode(2, 1)
    alone = adapted(1)
    adapted(0)
    assert torch.equal(adapted(1), alone)


def test_errors() -> None:
    with pytest.raises(ValueError, match="host 'dmtnet' needs levels of c3, c4 and c5"):
        DMTNet({"c3": 6, "c4": 10})
