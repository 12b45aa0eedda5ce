# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Rows of ``benchmarks/hosts.py``: IFA at its published size against the literal formulation.

One episode of 400 x 400 pixels after ResNet-50 at stride 8: maps of 1024 channels, 50 x 50.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "bundle")]

import torch  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from _harness import compare, run  # noqa: E402
from scripts.losses.episode_loss import EpisodeLoss, ignoring_cross_entropy  # noqa: E402
from scripts.networks.hosts import IFA  # noqa: E402
from scripts.networks.semantic_guidance import SemanticGuidance  # noqa: E402

SIDE, GRID, CHANNELS, TEXT_DIM = 400, 50, 1024, 512

Pair = tuple[Tensor, Tensor]


def similarity(maps: Tensor, foreground: Tensor, background: Tensor) -> Tensor:
    """Ten times the cosines, background first: (N, C, P) with (N, C, 1 or P) -> (N, 2, P)."""
    return 10 * torch.stack([F.cosine_similarity(maps, side, dim=1) for side in (background, foreground)], dim=1)


def own_prototypes(maps: Tensor, score: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means and local prototypes, image by image, the local foreground that nothing uses among them."""
    probability = score.softmax(dim=1).detach()
    results: list[list[Tensor]] = [[], [], []]
    for flat, likely in zip(maps, probability, strict=True):
        for side, threshold, mean in ((1, 0.7, results[0]), (0, 0.6, results[1])):
            chosen = likely[side] > threshold
            if not chosen.any():
                chosen = torch.zeros_like(chosen).scatter(0, likely[side].topk(12)[1], True)
            selected = flat[:, chosen]
            mean.append(selected.mean(dim=1, keepdim=True))
            cosine = F.normalize(selected, dim=0).t() @ F.normalize(flat, dim=0)
            local = selected @ (2 * cosine).softmax(dim=0)
        results[2].append(local)  # of the background, which comes last
    return torch.stack(results[0]), torch.stack(results[1]), torch.stack(results[2])


def one_pass(maps: Tensor, foreground: Tensor, background: Tensor, anchor: Tensor) -> tuple[Tensor, Pair]:
    """Score, draw, blend, score again."""
    own, own_background, local = own_prototypes(maps, similarity(maps, foreground, background))
    blended = 0.5 * anchor + 0.5 * own, 0.3 * own_background + 0.7 * local
    return similarity(maps, *blended), blended


def refined(maps: Tensor, score: Tensor, first: Pair, blended: Pair) -> Tensor:
    """The further draw of the first round."""
    own, own_background, local = own_prototypes(maps, score)
    foreground = 0.5 * first[0] + 0.2 * blended[0] + 0.3 * (0.5 * first[0] + 0.5 * own)
    background = 0.5 * first[1] + 0.2 * blended[1] + 0.3 * (0.3 * own_background + 0.7 * local)
    return 0.7 * similarity(maps, foreground, background) + 0.3 * score


def averages(maps: Tensor, mask: Tensor) -> Pair:
    """Averages under the mask and outside: (N, C, h, w), (N, 1, H, W) -> (N, C, 1) each."""
    weights = [
        F.interpolate((mask == side).float(), maps.shape[2:], mode="bilinear", align_corners=True) for side in (1, 0)
    ]
    first, second = ((maps * w).sum((2, 3)) / (w.sum((2, 3)) + 1e-5) for w in weights)
    return first.unsqueeze(2), second.unsqueeze(2)


def literal_test(query: Tensor, support: Tensor, mask: Tensor) -> Tensor:
    """Segment (1, C, h, w) from (1, K, C, h, w) and (1, K, 1, H, W): logits (1, 2, h, w)."""
    pairs = averages(support[0], mask[0])
    first = pairs[0].mean(0, keepdim=True), pairs[1].mean(0, keepdim=True)
    flat = query.flatten(2)
    score, blended = one_pass(flat, *first, first[0])
    return refined(flat, score, first, blended).unflatten(2, query.shape[2:])


def literal_loss(query: Tensor, support: Tensor, mask: Tensor, query_mask: Tensor) -> Tensor:
    """Loss of the source stage; all three rounds run, as published, though it reads the first alone."""
    pairs = averages(support[0], mask[0])
    foreground, background = (side.mean(0, keepdim=True) for side in pairs)
    flat, supports = query.flatten(2), support[0].flatten(2)
    outputs: list[tuple[Tensor, float, Tensor]] = []
    for number in range(3):
        score, blended = one_pass(flat, foreground, background, foreground)
        again = [one_pass(each[None], *blended, foreground) for each in supports]
        if number == 0:
            outputs = [
                (refined(flat, score, (foreground, background), blended), 1.0, query_mask),
                (score, 1.0, query_mask),
                (similarity(flat, *averages(query, query_mask)), 1.0, query_mask),
                (similarity(supports, *pairs), 0.2, mask[0]),
                (torch.cat([score for score, _ in again]), 0.4, mask[0]),
            ]
        foreground = torch.stack([pair[0] for _, pair in again]).mean(0)
        background = torch.stack([pair[1] for _, pair in again]).mean(0)
    losses = []
    for score, weight, target in outputs:
        logits = F.interpolate(score.unflatten(2, query.shape[2:]), (SIDE, SIDE), mode="bilinear", align_corners=True)
        losses.append(weight * ignoring_cross_entropy(logits, target))
    return torch.stack(losses).sum()


def episode(shots: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Maps with a direction for foreground and one for background: query, supports and their masks."""
    torch.manual_seed(0)
    masks = torch.zeros(shots + 1, 1, SIDE, SIDE)
    masks[..., 120:290, 90:260] = 1
    inside, outside = torch.randn(2, CHANNELS, 1, 1)
    share = F.interpolate(masks, (GRID, GRID), mode="area")
    maps = share * inside + (1 - share) * outside + 3.5 * torch.randn(shots + 1, CHANNELS, GRID, GRID)
    # Channels last, as the backbones of this project give their maps.
    maps = maps.contiguous(memory_format=torch.channels_last)
    return maps[shots:], maps[None, :shots], masks[None, :shots], masks[shots:]


def rows() -> list[dict[str, Any]]:
    """Compare forward, with text and with five shots, and forward with backward."""
    host = IFA()
    factory = partial(SemanticGuidance, text_dim=TEXT_DIM, background_embedding=torch.randn(TEXT_DIM), alpha=0.0)
    guided = IFA({"c4": CHANNELS}, guidance=factory)
    text, loss = torch.randn(1, 1, TEXT_DIM), EpisodeLoss()
    query, support, mask, query_mask = episode(1)

    def answer(network: IFA, query: Tensor, support: Tensor, mask: Tensor, text: Tensor | None = None) -> Tensor:
        return network.decode({"c4": query}, network.encode({"c4": support}, mask, text))

    one, five = (query, support, mask), episode(5)[:3]
    naive = partial(literal_test, *one)
    # A share of zero costs what any other does, and must give the result without text.
    with torch.no_grad():
        table = [
            _row("ifa forward", partial(answer, host, *one), naive),
            _row("ifa with text, forward (literal: without)", partial(answer, guided, *one, text), naive),
            _row("ifa 5-shot forward", partial(answer, host, *five), partial(literal_test, *five)),
        ]

    leaves = [query.clone().requires_grad_(), support.clone().requires_grad_()]

    def step(network: IFA, text: Tensor | None = None) -> Tensor:
        features, supports = {"c4": leaves[0]}, {"c4": leaves[1]}
        context = network.encode(supports, mask, text)
        terms = network.training_terms(features, supports, mask, query_mask, context)
        return torch.autograd.grad(loss(terms, query_mask), leaves)[0]

    def naive_step() -> Tensor:
        return torch.autograd.grad(literal_loss(*leaves, mask, query_mask), leaves)[0]

    table.append(_row("ifa forward and backward", partial(step, host), naive_step, rounds=3))
    name = "ifa with text, forward and backward (literal: without)"
    table.append(_row(name, partial(step, guided, text), naive_step, rounds=3))
    return table


def _row(name: str, ours: Callable[[], Tensor], naive: Callable[[], Tensor], rounds: int = 5) -> dict[str, Any]:
    return compare(name, ours, naive, max_difference=(ours() - naive()).abs().max().item(), rounds=rounds)


if __name__ == "__main__":
    run(rows, __doc__)
