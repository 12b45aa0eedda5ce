# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from scripts.networks.hosts import Matching

LEVELS = ("c3", "c4", "c5")


def reference_score(
    query: dict[str, Tensor], supports: list[dict[str, Tensor]], masks: list[Tensor], prior: float, is_centred: bool
) -> Tensor:
    """The definition in plain loops: features {level: (C, h, w)}, masks (H, W); (h, w) of the finest grid."""
    grid = max(value.shape[1] for value in query.values())
    score = torch.zeros(grid * grid)
    where = [((i // grid + 0.5) / grid, (i % grid + 0.5) / grid) for i in range(grid * grid)]
    for level in LEVELS:
        images = [query[level], *(support[level] for support in supports)]
        centre = torch.stack([image.flatten(1).mean(1) for image in images]).mean(0) * is_centred
        cells = [
            F.normalize(
                F.interpolate(image[None], (grid, grid), mode="bilinear")[0].flatten(1) - centre[:, None], dim=0
            )
            for image in images
        ]
        for sign, side in ((1, "foreground"), (-1, "background")):
            shots = []
            for support, mask in zip(cells[1:], masks, strict=True):
                foreground = F.adaptive_avg_pool2d((mask == 1).float()[None], grid).flatten()
                other = F.adaptive_avg_pool2d((mask != 0).float()[None], grid).flatten()
                chosen = (foreground > 0.5 if side == "foreground" else other < 0.1).nonzero()[:, 0].tolist()
                values = torch.zeros(grid * grid)
                for i, (row, column) in enumerate(where):
                    similarities = sorted(
                        float(cells[0][:, i] @ support[:, j])
                        - prior * ((row - where[j][0]) ** 2 + (column - where[j][1]) ** 2)
                        for j in chosen
                    )
                    values[i] = sum(similarities[-3:]) / len(similarities[-3:])
                shots.append(values)
            stacked = torch.stack(shots)
            score += sign * (stacked.mean(0) + stacked.amax(0)) / 2
    return score.view(grid, grid)


def score_of(logits: Tensor) -> Tensor:
    """Undo the temperature: s of logits [-s, s] / 0.2."""
    assert torch.equal(logits[:, 0], -logits[:, 1])
    return logits[:, 1] * 0.2


@pytest.mark.parametrize("shots", [1, 3])
@pytest.mark.parametrize(("prior", "is_centred"), [(0.0, True), (1.0, True), (0.5, False)])
def test_equals_the_definition(
    make_network: Any, make_episode: Any, shots: int, prior: float, is_centred: bool
) -> None:
    query, support, masks = make_episode(1, shots)
    masks[:, 0, :, :5] = 255
    host = Matching(position_prior=prior, is_centred=is_centred)
    score = score_of(make_network(host)(query, support, masks[:, :shots]))[0]
    supports = [{level: value[0, k] for level, value in support.items()} for k in range(shots)]
    expected = reference_score(
        {level: value[0] for level, value in query.items()},
        supports,
        [masks[0, k, 0] for k in range(shots)],
        prior,
        is_centred,
    )
    torch.testing.assert_close(score, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("batch", "shots"), [(1, 1), (2, 1), (1, 5), (2, 5)])
def test_a_batch_equals_its_episodes(make_network: Any, make_episode: Any, take: Any, batch: int, shots: int) -> None:
    network = make_network(Matching(position_prior=1.0))
    episode = make_episode(batch, shots)
    logits = network(*episode[:2], episode[2][:, :shots])
    assert logits.shape == (batch, 2, 12, 12)
    for index in range(batch):
        query, support, masks = take(episode, index)
        torch.testing.assert_close(network(query, support, masks[:, :shots]), logits[index : index + 1])


def test_finds_the_object(make_network: Any, make_episode: Any) -> None:
    query, support, masks = make_episode(4, 1, seed=3)
    logits = make_network(Matching())(query, support, masks[:, :1])
    predicted = F.interpolate(logits, masks.shape[-2:], mode="bilinear").argmax(1) == 1
    truth = masks[:, 1, 0] == 1
    dice = 2 * (predicted & truth).sum((1, 2)) / (predicted.sum((1, 2)) + truth.sum((1, 2)))
    assert dice.min() > 0.8


def test_position_prior_alone_copies_the_mask(make_network: Any, make_episode: Any) -> None:
    """Where all features are alike, the nearest sure cells decide, so the mask comes back."""
    query, support, masks = make_episode()
    query = {level: torch.ones_like(value) for level, value in query.items()}
    support = {level: torch.ones_like(value) for level, value in support.items()}
    host = Matching(position_prior=1.0, is_centred=False, top=1)
    logits = make_network(host)(query, support, masks[:, :1])
    coverage = F.adaptive_avg_pool2d(masks[:, 0], 12)[0, 0]
    sure = (coverage > 0.5) | (coverage < 0.1)
    assert torch.equal(logits.argmax(1)[0][sure] == 1, coverage[sure] > 0.5)


def test_a_mask_of_one_pixel_keeps_its_cell(make_episode: Any) -> None:
    _, support, masks = make_episode()
    mask = torch.zeros_like(masks[:, :1])
    mask[..., 9, 22] = 1
    host = Matching(is_centred=False)
    context = host.encode(support, mask)
    assert context.foreground[0, 0].nonzero().flatten().tolist() == [2 * 12 + 5]
    same = {level: value[:, 0] for level, value in support.items()}
    assert score_of(host.decode(same, context))[0].flatten().argmax() == 2 * 12 + 5


def test_empty_shots_are_left_out(make_network: Any, make_episode: Any) -> None:
    query, support, masks = make_episode(1, 2)
    masks = masks[:, :2].clone()
    masks[:, 1] = 0
    network = make_network(Matching(position_prior=1.0))
    alone = network(query, {level: value[:, :1] for level, value in support.items()}, masks[:, :1])
    torch.testing.assert_close(network(query, support, masks), alone)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0), (1.0, 1)])
@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_empty_and_full_masks(make_network: Any, make_episode: Any, value: float, expected: int, prior: float) -> None:
    query, support, masks = make_episode(1, 2)
    logits = make_network(Matching(position_prior=prior))(query, support, torch.full_like(masks[:, :2], value))
    assert torch.isfinite(logits).all()
    assert (logits.argmax(1) == expected).all()


def test_chunks_change_nothing(make_network: Any, make_episode: Any) -> None:
    query, support, masks = make_episode(2, 5)
    whole = make_network(Matching(position_prior=1.0))(query, support, masks[:, :5])
    chunked = make_network(Matching(position_prior=1.0, budget=3000))(query, support, masks[:, :5])
    torch.testing.assert_close(chunked, whole)


def test_half_precision_features(make_network: Any, make_episode: Any) -> None:
    query, support, masks = make_episode()
    network = make_network(Matching())
    query, support = ({level: value.half() for level, value in maps.items()} for maps in (query, support))
    single = [{level: value.float() for level, value in maps.items()} for maps in (query, support)]
    logits = network(query, support, masks[:, :1])
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, network(*single, masks[:, :1]))


def test_one_context_serves_a_batch(make_episode: Any, take: Any) -> None:
    host = Matching(position_prior=1.0)
    episode = make_episode(3, 2)
    query, (_, support, masks) = episode[0], take(episode, 0)
    context = host.encode(support, masks[:, :2])
    together = host.decode(query, context)
    for index in range(3):
        one = {level: value[index : index + 1] for level, value in query.items()}
        torch.testing.assert_close(host.decode(one, context), together[index : index + 1])


@pytest.mark.parametrize("shots", [1, 5])
def test_torchscript(make_network: Any, make_episode: Any, shots: int) -> None:
    network = make_network(Matching(position_prior=1.0)).eval()
    scripted = torch.jit.script(network)
    query, support, masks = make_episode(2, shots)
    torch.testing.assert_close(scripted(query, support, masks[:, :shots]), network(query, support, masks[:, :shots]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"levels": ["c3", "c6"]}, r"asks for levels \['c6'\], the backbone has \['c3', 'c4', 'c5'\]"),
        ({"levels": []}, "levels must be a list of different names"),
        ({"levels": "c3"}, "levels must be a list of different names"),
        ({"top": 0}, "top 0"),
        ({"position_prior": -1.0}, "position_prior -1.0"),
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"guidance": object()}, "takes no text guidance"),
    ],
)
def test_errors(channels: dict[str, int], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Matching(channels, **arguments)
