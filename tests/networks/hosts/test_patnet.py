# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from scripts.losses import EpisodeLoss
from scripts.networks.hosts import PATNet
from scripts.networks.semantic_guidance import SemanticGuidance

TEXT_DIM = 8


def guidance(**options: Any) -> Any:
    return partial(SemanticGuidance, text_dim=TEXT_DIM, background_embedding=torch.randn(TEXT_DIM), **options)


@pytest.mark.parametrize(("batch", "shots"), [(1, 1), (2, 1), (1, 5), (2, 3)])
def test_a_batch_equals_its_episodes(
    make_network: Any, make_episode: Any, take: Any, channels: Any, batch: int, shots: int
) -> None:
    torch.manual_seed(0)
    network = make_network(PATNet(channels))
    episode = make_episode(batch, shots)
    query, support, masks = episode
    logits = network(query, support, masks[:, :shots])
    assert logits.shape == (batch, 2, 24, 24)
    for index in range(batch):
        query, support, masks = take(episode, index)
        alone = network(query, support, masks[:, :shots])
        torch.testing.assert_close(alone, logits[index : index + 1], rtol=1e-4, atol=1e-5)


def test_several_blocks_of_a_stage(make_network: Any, make_episode: Any, channels: Any) -> None:
    """Blocks share their stage's anchors; the head takes as many maps as there are blocks."""
    torch.manual_seed(0)
    query, support, masks = make_episode(2, 1)
    for maps in (query, support):
        maps["c4.0"], maps["c3.0"], maps["c2"] = maps["c4"].flip(-1), 2 * maps["c3"], maps["c3"]
    widths = {**channels, "c3.0": 6, "c4.0": 10, "c2": 6}
    host = PATNet(widths)
    assert host.levels == ("c3", "c3.0", "c4", "c4.0", "c5")
    assert [anchors.weight.shape for anchors in host.anchors] == [(2, 6), (2, 10), (2, 14)]
    assert host.head.squeeze[0].first.conv.query_conv.in_channels == 2
    logits = make_network(host)(query, support, masks[:, :1])
    query["c4.0"] = -query["c4.0"]
    assert not torch.allclose(make_network(host)(query, support, masks[:, :1]), logits)


def test_the_scale_of_a_map_does_not_matter(make_network: Any, make_episode: Any, channels: Any) -> None:
    torch.manual_seed(0)
    query, support, masks = make_episode(1, 1)
    network = make_network(PATNet(channels))
    logits = network(query, support, masks[:, :1])
    louder = [{level: 7 * value for level, value in maps.items()} for maps in (query, support)]
    torch.testing.assert_close(network(*louder, masks[:, :1]), logits, rtol=1e-3, atol=1e-4)


def test_shots_are_averaged_as_probabilities(make_episode: Any, channels: Any) -> None:
    torch.manual_seed(0)
    host = PATNet(channels)
    query, support, masks = make_episode(2, 3)
    context = host.encode(support, masks[:, :3])
    single = []
    for shot in range(3):
        one = slice(shot, shot + 1)
        alone = host.encode({level: maps[:, one] for level, maps in support.items()}, masks[:, one])
        single.append(host.decode(query, alone).softmax(dim=1))
    expected = torch.stack(single).mean(dim=0)
    torch.testing.assert_close(host.decode(query, context).exp(), expected, rtol=1e-4, atol=1e-5)


def test_a_mosaic_of_one_shot_is_a_pass(make_episode: Any, channels: Any) -> None:
    torch.manual_seed(0)
    host = PATNet(channels)
    other = PATNet(channels, shot_merging="mosaic")
    other.load_state_dict(host.state_dict())
    query, support, masks = make_episode(2, 1)
    expected = host.decode(query, host.encode(support, masks[:, :1]))
    assert torch.equal(other.decode(query, other.encode(support, masks[:, :1])), expected)


@pytest.mark.parametrize("is_guided", [False, True])
def test_a_mosaic_is_one_pass(make_episode: Any, channels: Any, is_guided: bool) -> None:
    """All shots share a transform, that of their common average, and every one of them has a tile."""
    torch.manual_seed(0)
    query, support, masks = make_episode(2, 5)
    text = torch.randn(2, 1, TEXT_DIM) if is_guided else None
    host = PATNet(channels, shot_merging="mosaic", guidance=guidance() if is_guided else None)
    context = host.encode(support, masks[:, :5], text)
    assert {rows.shape[1] for rows in context.inverse.values()} == {1}
    logits = host.decode(query, context)
    assert logits.shape == (2, 2, 24, 24)
    for shot in range(5):
        changed = {level: maps.clone() for level, maps in support.items()}
        for maps in changed.values():
            maps[:, shot] = -maps[:, shot]
        assert not torch.allclose(host.decode(query, host.encode(changed, masks[:, :5], text)), logits)


def test_empty_shots_have_no_tile(make_episode: Any, channels: Any) -> None:
    """A mosaic of shots of which all but some are empty is the mosaic of these; of empty ones alone it is finite."""
    torch.manual_seed(0)
    query, support, masks = make_episode(2, 5)
    masks = masks.clone()
    masks[0, [0, 2, 3, 4]] = 0
    masks[1, [1, 2]] = 0
    host = PATNet(channels, shot_merging="mosaic")
    logits = host.decode(query, host.encode(support, masks[:, :5]))
    for episode, kept in ((0, [1]), (1, [0, 3, 4])):
        one = slice(episode, episode + 1)
        context = host.encode({k: v[one, kept] for k, v in support.items()}, masks[one, kept])
        alone = host.decode({level: maps[one] for level, maps in query.items()}, context)
        torch.testing.assert_close(logits[one], alone, rtol=1e-4, atol=1e-5)
    nothing = host.decode(query, host.encode(support, torch.zeros_like(masks[:, :5])))
    assert torch.isfinite(nothing).all()


def test_shots_that_are_alike_keep_the_transform_of_one(make_episode: Any, channels: Any) -> None:
    torch.manual_seed(0)
    _, support, masks = make_episode(1, 1)
    host = PATNet(channels, shot_merging="mosaic")
    one = host.encode(support, masks[:, :1])
    four = host.encode(
        {level: maps.expand(-1, 4, -1, -1, -1) for level, maps in support.items()},
        masks[:, :1].expand(-1, 4, -1, -1, -1),
    )
    for level in host.levels:
        torch.testing.assert_close(four.inverse[level], one.inverse[level], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [0, 1])
def test_masks_of_one_side(make_network: Any, make_episode: Any, channels: Any, value: int) -> None:
    query, support, masks = make_episode(1, 1)
    host = PATNet(channels)
    context = host.encode(support, torch.full_like(masks[:, :1], value))
    for rows in context.inverse.values():
        assert torch.equal(rows[:, :, 1 - value], torch.zeros_like(rows[:, :, 1 - value]))
    assert torch.isfinite(host.decode(query, context)).all()
    if value == 0:
        assert all((maps == 0).all() for maps in context.support.values())


def test_unknown_support_pixels_belong_to_neither_side(make_episode: Any, channels: Any) -> None:
    _, support, masks = make_episode(1, 1)
    mask = masks[:, :1].clone()
    mask[..., 24:, :] = 255
    changed = {level: maps.clone() for level, maps in support.items()}
    for maps in changed.values():
        maps[..., maps.shape[-2] * 3 // 4 :, :] = 9.0
    host = PATNet(channels)
    first, second = host.encode(support, mask), host.encode(changed, mask)
    for level in ("c3", "c4"):
        torch.testing.assert_close(first.inverse[level], second.inverse[level])


def test_learns(make_episode: Any, channels: Any) -> None:
    torch.manual_seed(0)
    query, support, masks = make_episode(4, 1)
    host = PATNet(channels)
    optimizer = torch.optim.Adam(host.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        context = host.encode(support, masks[:, :1])
        loss = EpisodeLoss()(host.training_terms(query, support, masks[:, :1], masks[:, 1], context), masks[:, 1])
        optimizer.zero_grad()
        loss.backward()
        silent = {name for name, value in host.named_parameters() if value.grad.abs().sum() == 0}
        # On a 3 x 3 grid the stride leaves the corners, which are outside the objects.
        assert silent <= {"head.squeeze.2.first.conv.query_conv.weight"}
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("use_guided_features", [False, True])
def test_guidance(make_episode: Any, channels: Any, use_guided_features: bool) -> None:
    torch.manual_seed(0)
    query, support, masks = make_episode(2, 2)
    text = torch.randn(2, 1, TEXT_DIM)
    host = PATNet(channels, guidance=guidance(use_guided_features=use_guided_features))
    context = host.encode(support, masks[:, :2], text)
    terms = host.training_terms(query, support, masks[:, :2], masks[:, 2], context)
    EpisodeLoss()(terms, masks[:, 2]).backward()
    assert all(parameter.grad is not None for parameter in host.parameters())
    assert all(parameter.grad.abs().sum() > 0 for name, parameter in host.named_parameters() if "guidance" in name)
    other = host.encode(support, masks[:, :2], -text)
    assert not torch.allclose(other.inverse["c4"], context.inverse["c4"])
    if not use_guided_features:
        host.guidance.alpha = 0.0
        plain = PATNet(channels).encode(support, masks[:, :2])
        torch.testing.assert_close(host.encode(support, masks[:, :2], text).inverse["c4"], plain.inverse["c4"])


def test_text_is_fused_shot_by_shot(make_episode: Any, channels: Any) -> None:
    """Every shot is a pass of its own: another shot doesn't change its prototypes."""
    torch.manual_seed(0)
    _, support, masks = make_episode(1, 2)
    host = PATNet(channels, guidance=guidance())
    text = torch.randn(1, 1, TEXT_DIM)
    both = host.encode(support, masks[:, :2], text)
    first = host.encode({level: maps[:, :1] for level, maps in support.items()}, masks[:, :1], text)
    torch.testing.assert_close(both.inverse["c5"][:, :1], first.inverse["c5"])


@pytest.mark.parametrize("shot_merging", ["passes", "mosaic"])
@pytest.mark.parametrize("is_guided", [False, True])
def test_torchscript(make_network: Any, make_episode: Any, channels: Any, is_guided: bool, shot_merging: str) -> None:
    torch.manual_seed(0)
    host = PATNet(channels, guidance=guidance() if is_guided else None, shot_merging=shot_merging)
    network = make_network(host).eval()
    query, support, masks = make_episode(2, 2)
    text = torch.randn(2, 1, TEXT_DIM)
    with torch.no_grad():
        expected = network(query, support, masks[:, :2], text)
        scripted = torch.jit.script(network)(query, support, masks[:, :2], text)
    torch.testing.assert_close(scripted, expected, rtol=1e-4, atol=1e-5)


def test_one_context_serves_a_batch(make_episode: Any, take: Any, channels: Any) -> None:
    host = PATNet(channels)
    episode = make_episode(3, 2)
    _, support, masks = take(episode, 0)
    context = host.encode(support, masks[:, :2])
    together = host.decode(episode[0], context)
    for index in range(3):
        one = {level: value[index : index + 1] for level, value in episode[0].items()}
        torch.testing.assert_close(host.decode(one, context), together[index : index + 1], rtol=1e-4, atol=1e-5)


def test_cached_features_in_half_precision(make_network: Any, make_episode: Any, channels: Any) -> None:
    torch.manual_seed(0)
    query, support, masks = make_episode(1, 1)
    network = make_network(PATNet(channels))
    halves = [{level: value.half() for level, value in maps.items()} for maps in (query, support)]
    found = network(*halves, masks[:, :1])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, network(query, support, masks[:, :1]), rtol=0.02, atol=0.02)


def test_divergence_of_transformed_prototypes(channels: Any) -> None:
    """KL between softmax(R^T A p) of both prototypes, written out with the pseudo-inverse."""
    torch.manual_seed(0)
    host = PATNet(channels)
    true, found, rows = torch.randn(2, 10), torch.randn(2, 10), torch.randn(2, 2, 10)
    unit = F.normalize(rows, dim=2)
    anchors = F.normalize(host.anchors[1].weight, dim=1)
    matrix = torch.linalg.pinv(unit) @ anchors
    logs = [(p.unsqueeze(1) @ matrix).squeeze(1).log_softmax(dim=1) for p in (true, found)]
    expected = F.kl_div(logs[1], logs[0], reduction="batchmean", log_target=True)
    inverse = torch.linalg.pinv(unit).transpose(1, 2)
    divergence = host.divergence({"c4": true}, {"c4": found}, {"c4": inverse})
    torch.testing.assert_close(divergence, expected, rtol=1e-4, atol=1e-6)
    assert host.divergence({"c4": true}, {"c4": true}, {"c4": inverse}).abs() < 1e-6


@pytest.mark.parametrize("shot_merging", ["passes", "mosaic"])
def test_adaptation_loss_reaches_the_anchors_alone(make_episode: Any, channels: Any, shot_merging: str) -> None:
    torch.manual_seed(1)
    _, support, masks = make_episode(2, 2)
    host = PATNet(channels, shot_merging=shot_merging)
    host.adaptation_loss(support, masks[:, :2], host.encode(support, masks[:, :2])).backward()
    moved = {name for name, value in host.named_parameters() if value.grad is not None}
    assert moved == {f"anchors.{index}.weight" for index in range(3)}
    assert all(parameter.grad.abs().sum() > 0 for parameter in host.adaptable_parameters())


def test_adaptation_compares_the_maps_that_were_transformed(make_episode: Any, channels: Any) -> None:
    """The support's own foreground prototype has the coordinates (0, 1), with guided maps too."""
    torch.manual_seed(0)
    _, support, masks = make_episode(1, 1)
    host = PATNet(channels, guidance=guidance(use_guided_features=True, alpha=0.0))
    context = host.encode(support, masks[:, :1], torch.randn(1, 1, TEXT_DIM))
    features = {level: maps[:, 0] for level, maps in support.items()}
    for level, prototype in host.foreground_prototypes(features, masks[:, 0], context.text).items():
        coordinates = (context.inverse[level][:, 0] @ prototype.unsqueeze(2)).squeeze(2) / prototype.norm()
        torch.testing.assert_close(coordinates, torch.tensor([[0.0, 1.0]]), rtol=0, atol=1e-3)


def test_adaptation_lowers_its_loss(make_episode: Any, channels: Any) -> None:
    torch.manual_seed(1)
    _, support, masks = make_episode(1, 1)
    host = PATNet(channels)
    context = host.encode(support, masks[:, :1])
    optimizer = torch.optim.Adam(host.adaptable_parameters(), lr=0.02)
    losses = []
    for _ in range(10):
        loss = host.adaptation_loss(support, masks[:, :1], context)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("widths", "levels", "message"),
    [
        ({"c3": 6, "c4": 10}, None, "needs levels of c3, c4 and c5"),
        ({"c2": 4, "c3": 6, "c4": 10, "c5": 14}, ["c2", "c3", "c4", "c5"], "all three and no others"),
        ({"c3": 6, "c4.0": 8, "c4": 10, "c5": 14}, None, "blocks of one width in a stage"),
        ({"c3": 6, "c4": 10, "c5": 14}, ["c3", "c4", "c5.7"], r"asks for levels \['c5.7'\]"),
    ],
)
def test_errors(widths: Any, levels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PATNet(widths, levels=levels)


def test_unknown_merging(channels: Any) -> None:
    with pytest.raises(ValueError, match=r"shot_merging must be one of \['passes', 'mosaic'\], got 'votes'"):
        PATNet(channels, shot_merging="votes")
