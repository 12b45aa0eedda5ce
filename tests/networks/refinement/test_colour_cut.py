# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Refinement as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from scripts.networks.blocks.logits import resize_logits
from scripts.networks.refinement import ColourCut

SIDE = 80


def disc(row: int, column: int, radius: int) -> Tensor:
    """(1, 1, SIDE, SIDE) mask."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return ((rows - row) ** 2 + (columns - column) ** 2 < radius**2).float()[None, None]


def picture(mask: Tensor, seed: int, inside: tuple[float, ...] = (0.7, 0.3, 0.3)) -> Tensor:
    """(1, 3, SIDE, SIDE): an object of one colour on another, with noise."""
    noise = 0.04 * torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    outside = torch.tensor((0.3, 0.5, 0.6)).view(1, 3, 1, 1)
    return (mask * torch.tensor(inside).view(1, 3, 1, 1) + (1 - mask) * outside + noise).clamp(0, 1)


def coarse_logits(mask: Tensor, seed: int, shift: float = 0.0) -> Tensor:
    """A host's answer: blurred, noisy, off by a shift, brought to the refinement's raster: (1, 2, 40, 40)."""
    blurred = F.avg_pool2d(F.avg_pool2d(mask, 4), 5, 1, 2)
    score = 10 * (blurred - 0.5) + shift + torch.randn(blurred.shape, generator=torch.Generator().manual_seed(seed))
    return resize_logits(torch.cat([-score / 2, score / 2], dim=1), (40, 40), align_corners=False)


def iou(logits: Tensor, mask: Tensor) -> float:
    size = [mask.shape[-2], mask.shape[-1]]
    pred = F.interpolate(logits, size, mode="bilinear").argmax(1, keepdim=True).bool()
    return float((pred & mask.bool()).sum() / (pred | mask.bool()).sum())


@pytest.fixture
def support() -> tuple[Tensor, Tensor]:
    mask = disc(30, 35, 16)
    return picture(mask, 0)[:, None], mask[:, None]


@pytest.mark.parametrize("shift", [-3.0, 0.0, 3.0])
def test_mends_a_coarse_answer(support: tuple[Tensor, Tensor], shift: float) -> None:
    mask = disc(45, 40, 20)
    refine = ColourCut(grid=40)
    logits = coarse_logits(mask, 1, shift)
    refined = refine(logits, picture(mask, 2), refine.encode(*support))
    assert refined.shape == (1, 2, 40, 40)
    assert iou(refined, mask) > max(0.9, iou(logits, mask))


def test_the_choice_looks_at_the_support() -> None:
    # a dark core within a grey ring: both are possible objects, the support says which
    core, whole = disc(40, 40, 10), disc(40, 40, 24)
    image = picture(whole, 0, (0.6, 0.6, 0.6)) * (1 - core) + core * 0.1
    logits = coarse_logits((core + whole) / 2, 3)
    refine = ColourCut(grid=40, offsets=(-4, -2, 0, 2, 4))
    for mask in (core, whole):
        refined = refine(logits, image, refine.encode(image[:, None], mask[:, None]))
        assert iou(refined, mask) > 0.9


@pytest.mark.parametrize("shots", [1, 2, 3, 5])
def test_shots_and_batches(shots: int) -> None:
    masks = torch.cat([disc(30 + 3 * k, 40 - 2 * k, 14 + k) for k in range(shots)])
    images = torch.cat([picture(masks[k : k + 1], k) for k in range(shots)])
    queries = [disc(42, 38, 18), disc(30, 50, 12)]
    logits = torch.cat([coarse_logits(mask, 5) for mask in queries])
    pictures = torch.cat([picture(mask, 9) for mask in queries])
    refine = ColourCut(grid=40)
    support_image, support_label = images[None].expand(2, -1, -1, -1, -1), masks[None].expand(2, -1, -1, -1, -1)
    prompt = refine.encode(support_image, support_label)
    assert prompt.descriptors.shape[:2] == (2, shots)
    together = refine(logits, pictures, prompt)
    for b in range(2):
        alone = refine(
            logits[b : b + 1],
            pictures[b : b + 1],
            refine.encode(support_image[b : b + 1], support_label[b : b + 1]),
        )
        assert torch.equal(together[b : b + 1], alone)
        assert iou(alone, queries[b]) > 0.85
    assert torch.equal(refine(logits, pictures, prompt), together)


@pytest.mark.parametrize("kind", ["empty", "full", "unknown", "one pixel"])
def test_supports_without_a_describable_object(kind: str) -> None:
    label = torch.zeros(1, 1, 1, SIDE, SIDE)
    if kind == "full":
        label[:] = 1
    elif kind == "unknown":
        label[:] = 255
    elif kind == "one pixel":
        label[..., 40, 40] = 1
    mask = disc(40, 40, 18)
    refine = ColourCut(grid=40)
    refined = refine(coarse_logits(mask, 0), picture(mask, 1), refine.encode(picture(mask, 2)[:, None], label))
    assert torch.isfinite(refined).all()
    assert iou(refined, mask) > 0.85


def test_one_good_support_among_empty_ones(support: tuple[Tensor, Tensor]) -> None:
    image, label = support
    refine = ColourCut(grid=40)
    both = refine.encode(image.repeat(1, 2, 1, 1, 1), torch.cat([label, torch.zeros_like(label)], dim=1))
    mask = disc(45, 40, 20)
    logits, query = coarse_logits(mask, 1), picture(mask, 2)
    assert torch.equal(refine(logits, query, both), refine(logits, query, refine.encode(image, label)))


@pytest.mark.parametrize("value", [-50.0, 50.0])
def test_decided_logits_stay(support: tuple[Tensor, Tensor], value: float) -> None:
    refine = ColourCut(grid=40)
    logits = torch.stack([torch.full((1, 40, 40), -value / 2), torch.full((1, 40, 40), value / 2)], dim=1)
    refined = refine(logits, picture(disc(40, 40, 10), 0), refine.encode(*support))
    assert torch.isfinite(refined).all()
    assert (refined.argmax(1) == int(value > 0)).all()


def test_constant_and_grey_images(support: tuple[Tensor, Tensor]) -> None:
    refine = ColourCut(grid=40)
    mask = disc(40, 40, 18)
    prompt = refine.encode(*support)
    flat = refine(coarse_logits(mask, 0), torch.full((1, 3, SIDE, SIDE), 0.5), prompt)
    assert torch.isfinite(flat).all()
    assert iou(flat, mask) > 0.6
    grey = picture(mask, 1).mean(dim=1, keepdim=True).expand(-1, 3, -1, -1) + 0.3 * mask
    grey_prompt = refine.encode(grey[:, None], mask[:, None])
    assert iou(refine(coarse_logits(mask, 0), grey, grey_prompt), mask) > 0.9


def test_dtype_follows_the_logits(support: tuple[Tensor, Tensor]) -> None:
    refine = ColourCut(grid=40)
    mask = disc(40, 40, 18)
    refined = refine(coarse_logits(mask, 0).double(), picture(mask, 1), refine.encode(*support))
    assert refined.dtype == torch.float64


def test_logits_on_another_raster_are_refused(support: tuple[Tensor, Tensor]) -> None:
    refine = ColourCut(grid=40)
    with pytest.raises(ValueError, match=r"works on logits \(B, 2, 40, 40\), got \(1, 2, 20, 20\): resize them"):
        refine(torch.zeros(1, 2, 20, 20), picture(disc(40, 40, 10), 0), refine.encode(*support))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grid": 4}, "grid 4"),
        ({"offsets": ()}, "offsets"),
        ({"iterations": 0}, "iterations 0"),
        ({"bins": 1}, "bins 1"),
        ({"merit_weights": {"size": 1.0}}, "size"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ColourCut(**arguments)


def test_colour_finds_what_the_logits_miss() -> None:
    mask = disc(40, 40, 22)
    weak = coarse_logits(disc(40, 34, 14), 2)
    image = picture(mask, 3)
    with_colour, without = ColourCut(grid=40, offsets=(0,)), ColourCut(grid=40, offsets=(0,), colour_weight=0.0)
    prompt = with_colour.encode(image[:, None], mask[:, None])
    assert iou(with_colour(weak, image, prompt), mask) > iou(without(weak, image, prompt), mask) + 0.1


def test_candidates_grow_as_the_threshold_falls() -> None:
    mask = disc(40, 40, 18)
    refine = ColourCut(grid=40, colour_weight=0.0)
    unary = coarse_logits(mask, 0)[0]
    lab = np.zeros((40, 40, 3))
    found = refine.candidates((unary[1] - unary[0]).numpy(), lab, None)
    areas = [candidate.mask.sum() for candidate in sorted(found, key=lambda candidate: candidate.offset)]
    assert len(areas) > 3
    assert areas == sorted(areas, reverse=True)
    assert areas[0] > areas[-1]
