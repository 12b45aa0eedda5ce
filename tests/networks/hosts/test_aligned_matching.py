# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from scripts.networks.blocks.alignment import align_affine, apply_affine, cell_centres
from scripts.networks.blocks.deformation import gaussian_smooth, invert_affine
from scripts.networks.blocks.support_bias import support_bias
from scripts.networks.hosts import AlignedMatching

LEVELS = ("c3", "c4", "c5")
SMALL: dict[str, Any] = {"levels": LEVELS, "grid": 12, "coarse_grid": 6, "bias_hidden": 1, "bias_near": 2}


def cells(maps: Tensor, grid: int, centre: Tensor) -> Tensor:
    resized = F.interpolate(maps[None], (grid, grid), mode="bilinear")[0].flatten(1)
    return F.normalize(resized - centre[:, None], dim=0)


def reference_logit(
    query: dict[str, Tensor], supports: list[dict[str, Tensor]], masks: list[Tensor], prior: float
) -> Tensor:
    """The definition without the deformation: features {level: (C, h, w)}, masks (H, W); (12, 12)."""
    grid = 12
    maps = torch.zeros(len(supports), len(LEVELS), 2, grid, grid)
    biases = []
    for k, (support, mask) in enumerate(zip(supports, masks, strict=True)):
        centre = {level: (query[level].mean((1, 2)) + support[level].mean((1, 2))) / 2 for level in LEVELS}
        coarse = [
            torch.cat([cells(image[level], 6, centre[level]) for level in ("c4", "c5")])[None]
            for image in (query, support)
        ]
        inverse = invert_affine(align_affine(coarse[0] / 2, coarse[1], 6, prior))
        share = F.adaptive_avg_pool2d(mask[None], grid).flatten()
        places = cell_centres(grid, grid, mask)
        own = [cells(support[level], grid, support[level].mean((1, 2))) for level in LEVELS]
        biases.append(support_bias(own, share > 0.5, share < 0.1, grid, prior, 1, 2))
        for number, level in enumerate(LEVELS):
            own_grid = grid if query[level].shape[1] >= grid else grid // 2
            q, s = cells(query[level], own_grid, centre[level]), cells(support[level], grid, centre[level])
            here = apply_affine(inverse, cell_centres(own_grid, own_grid, mask))[0]
            for side, chosen in enumerate((share > 0.5, share < 0.1)):
                best = torch.zeros(own_grid * own_grid)
                for x in range(len(best)):
                    values = [
                        float(q[:, x] @ s[:, y] - prior * (here[x] - places[y]).square().sum())
                        for y in chosen.nonzero().flatten().tolist()
                    ]
                    best[x] = sum(sorted(values)[-3:]) / min(3, len(values))
                plane = best.view(1, 1, own_grid, own_grid)
                maps[k, number, side] = F.interpolate(plane, (grid, grid), mode="bilinear")[0, 0]
    pooled = (maps.mean(0) + maps.amax(0)) / 2
    score = (pooled[:, 0] - pooled[:, 1]).sum(0) - 1.5 * torch.stack(biases).mean()
    return gaussian_smooth(score[None, None], 0.5)[0, 0] / 0.1


@pytest.mark.parametrize("shots", [1, 2])
@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_agrees_with_the_definition(make_episode: Any, shots: int, prior: float) -> None:
    query, support, masks = make_episode(batch=1, shots=shots, seed=3)
    host = AlignedMatching(**SMALL, position_prior=prior, scene_range=(1.0, 1.0))
    logits = host.decode(query, host.encode(support, masks[:, :shots]))[0]
    expected = reference_logit(
        {level: value[0] for level, value in query.items()},
        [{level: value[0, k] for level, value in support.items()} for k in range(shots)],
        [masks[0, k, 0] for k in range(shots)],
        prior,
    )
    assert torch.allclose(logits[1] - logits[0], expected, atol=1e-3)
    assert expected.std() > 1


@pytest.mark.parametrize("shots", [1, 2, 5])
@pytest.mark.parametrize("batch", [1, 2])
def test_finds_the_object(make_episode: Any, shots: int, batch: int) -> None:
    query, support, masks = make_episode(batch=batch, shots=shots, seed=1)
    host = AlignedMatching(**SMALL)
    logits = host.decode(query, host.encode(support, masks[:, :shots]))
    assert logits.shape == (batch, 2, 12, 12)
    truth = F.interpolate(masks[:, shots], (12, 12), mode="area")[:, 0] > 0.5
    pred = logits[:, 1] > logits[:, 0]
    assert ((pred & truth).sum() / (pred | truth).sum()) > 0.7


def test_a_batch_is_its_elements(make_episode: Any, take: Any) -> None:
    episode = make_episode(batch=2, shots=2, seed=5)
    host = AlignedMatching(**SMALL, scene_range=(0.0, 0.5))
    together = host.decode(episode[0], host.encode(episode[1], episode[2][:, :2]))
    for index in range(2):
        query, support, masks = take(episode, index)
        alone = host.decode(query, host.encode(support, masks[:, :2]))
        assert torch.allclose(together[index : index + 1], alone, atol=1e-3)


def test_same_image_is_one_scene_and_its_mask_comes_back(make_episode: Any) -> None:
    _, support, masks = make_episode(batch=1, shots=1, seed=7)
    same = {level: value[:, 0] for level, value in support.items()}
    host = AlignedMatching(**SMALL, smoothing=0.0)
    context = host.encode(support, masks[:, :1])
    _, _, trust = host.correspond(same, context.mean, context)
    assert trust.item() == 1
    pred = host.decode(same, context).argmax(1)
    assert torch.equal(pred.bool()[0], F.interpolate(masks[:, 0], (12, 12), mode="area")[0, 0] > 0.5)


def test_unlike_images_are_not_one_scene(make_episode: Any) -> None:
    query, support, masks = make_episode(batch=1, shots=1, seed=7)
    noise = torch.Generator().manual_seed(0)
    query = {level: torch.randn(value.shape, generator=noise) for level, value in query.items()}
    host = AlignedMatching(**SMALL)
    context = host.encode(support, masks[:, :1])
    _, _, trust = host.correspond(query, context.mean, context)
    assert trust.item() == 0


def test_an_empty_shot_is_left_out(make_episode: Any) -> None:
    query, support, masks = make_episode(batch=1, shots=2, seed=2)
    masks[:, 1] = 0
    host = AlignedMatching(**SMALL)
    both = host.decode(query, host.encode(support, masks[:, :2]))
    first = {level: value[:, :1] for level, value in support.items()}
    assert torch.allclose(both, host.decode(query, host.encode(first, masks[:, :1])), atol=1e-4)


@pytest.mark.parametrize(("fill", "expected"), [(0.0, 0), (1.0, 1), (255.0, None)])
def test_empty_full_and_unknown_masks(make_episode: Any, fill: float, expected: int | None) -> None:
    query, support, masks = make_episode(batch=1, shots=1)
    host = AlignedMatching(**SMALL)
    logits = host.decode(query, host.encode(support, torch.full_like(masks[:, :1], fill)))
    assert torch.isfinite(logits).all()
    if expected is not None:
        assert (logits.argmax(1) == expected).all()


def test_one_pixel_is_enough(make_episode: Any) -> None:
    query, support, masks = make_episode(batch=1, shots=1)
    mask = torch.zeros_like(masks[:, :1])
    mask[..., 20, 20] = 1
    context = AlignedMatching(**SMALL).encode(support, mask)
    assert context.foreground.sum() == 1
    assert torch.isfinite(AlignedMatching(**SMALL).decode(query, context)).all()


def test_constant_features_are_finite(make_episode: Any) -> None:
    query, support, masks = make_episode(batch=1, shots=1)
    flat = [{level: torch.ones_like(value) for level, value in maps.items()} for maps in (query, support)]
    host = AlignedMatching(**SMALL)
    assert torch.isfinite(host.decode(flat[0], host.encode(flat[1], masks[:, :1]))).all()


def test_half_precision_features(make_episode: Any) -> None:
    query, support, masks = make_episode(batch=1, shots=1)
    half = [{level: value.half() for level, value in maps.items()} for maps in (query, support)]
    host = AlignedMatching(**SMALL)
    found = host.decode(half[0], host.encode(half[1], masks[:, :1]))
    expected = host.decode(query, host.encode(support, masks[:, :1]))
    assert found.dtype == torch.float32
    assert (found - expected).abs().mean() < 0.2


@pytest.mark.parametrize("arguments", [{}, {"align_levels": ()}, {"bias_weight": 0.0}])
def test_compiles(make_episode: Any, make_network: Any, arguments: dict[str, Any]) -> None:
    query, support, masks = make_episode(batch=2, shots=2, seed=4)
    network = make_network(AlignedMatching(**SMALL, **arguments))
    expected = network(query, support, masks[:, :2])
    assert torch.allclose(torch.jit.script(network)(query, support, masks[:, :2]), expected, atol=1e-4)
    assert torch.equal(network(query, support, masks[:, :2]), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"align_levels": ("c2",)}, "align_levels"),
        ({"grid": 2}, "grid 2"),
        ({"scene_range": (0.6, 0.5)}, "scene_range"),
        ({"temperature": 0.0}, "temperature 0"),
        ({"guidance": lambda channels: None}, "takes no text guidance"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AlignedMatching(**{**SMALL, **arguments})


def test_missing_level_is_named() -> None:
    with pytest.raises(ValueError, match="c5"):
        AlignedMatching({"c3": 6, "c4": 10}, **SMALL)


def test_torchscript(make_network: Any, make_episode: Any) -> None:
    network = make_network(AlignedMatching(**SMALL)).eval()
    query, support, masks = make_episode(2, 2)
    with torch.no_grad():
        expected = network(query, support, masks[:, :2])
        found = torch.jit.script(network)(query, support, masks[:, :2])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
