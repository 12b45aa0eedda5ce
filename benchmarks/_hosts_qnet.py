# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Rows of ``benchmarks/hosts.py``: Q-Net at its published size against the literal formulation.

One episode of 256 x 256 pixels after the embedding, where the published head begins: two maps of 512 channels, of 64 x
64 and 32 x 32 cells.

python benchmarks/_hosts_qnet.py [--json FILE]
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "bundle")]

import torch  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from _harness import compare, run  # noqa: E402
from scripts.losses import EpisodeLoss  # noqa: E402
from scripts.networks.hosts import QNet  # noqa: E402
from scripts.networks.semantic_guidance import SemanticGuidance  # noqa: E402

SIDE, CHANNELS, STEPS = 256, 512, 7
GRIDS = {"c4": 64, "c5": 32}
TEXT_DIM = 512

Features = dict[str, Tensor]


class Head(QNet):
    """The head behind the embedding: features are the embedded maps, and t is given."""

    def embed(self, features: Features) -> list[Tensor]:
        """Both maps as they are."""
        return [features["c4"], features["c5"]]

    def threshold(self, features: Features) -> Tensor:
        """The given t."""
        return features["t"]


def literal_prototype(maps: Tensor, mask: Tensor) -> Tensor:
    """Average of the resized map: (B, C, h, w), (B, 1, H, W) -> (B, C)."""
    resized = F.interpolate(maps, mask.shape[2:], mode="bilinear", align_corners=False)
    return (resized * mask).sum((2, 3)) / (mask.sum((2, 3)) + 1e-5)


def literal_score(maps: Tensor, prototype: Tensor, t: Tensor) -> Tensor:
    """Foreground probability (B, h, w)."""
    return 1 - torch.sigmoid(0.5 * (-20 * F.cosine_similarity(maps, prototype[:, :, None, None]) - t.unsqueeze(2)))


def literal_refined(maps: Tensor, prototype: Tensor, t: Tensor) -> Tensor:
    """Refinement by automatic differentiation on the whole map, one episode."""
    prototype = prototype.clone().requires_grad_()
    optimizer = torch.optim.Adam([prototype], lr=0.01)
    with torch.enable_grad():
        for _ in range(STEPS):
            claimed = (literal_score(maps, prototype, t) > 0.5).unsqueeze(1)
            rebuilt = torch.where(claimed, prototype[:, :, None, None], maps)
            scaled = [((x - x.min()) / (x.max() - x.min())).sigmoid() for x in (rebuilt, maps)]
            optimizer.zero_grad()
            F.binary_cross_entropy(*scaled).backward()
            optimizer.step()
    return prototype.detach()


def literal_mix(maps: list[Tensor], prototypes: list[Tensor], t: Tensor) -> Tensor:
    """Log-probabilities (B, 2, H, W)."""
    scores = [literal_score(*each, t).unsqueeze(1) for each in zip(maps, prototypes, strict=True)]
    fine, coarse = (F.interpolate(y, (SIDE, SIDE), mode="bilinear", align_corners=True) for y in scores)
    mixed = 0.9 * fine + 0.1 * coarse
    eps = torch.finfo(torch.float32).eps
    return torch.cat([1 - mixed, mixed], dim=1).clamp(eps, 1 - eps).log()


def episode(shots: int = 1) -> tuple[Features, Features, Tensor, Tensor]:
    """Maps with a direction for foreground and one for background: query, support, support mask, query mask."""
    torch.manual_seed(0)
    masks = torch.zeros(1, shots + 1, 1, SIDE, SIDE)
    masks[..., 90:170, 70:160] = 1
    maps: Features = {}
    for level, grid in GRIDS.items():
        share = F.interpolate(masks.flatten(0, 1), (grid, grid), mode="area")
        inside, outside = torch.randn(2, CHANNELS, 1, 1)
        found = share * inside + (1 - share) * outside + torch.randn(shots + 1, CHANNELS, grid, grid)
        # Channels last, as the convolutions of this project give their maps.
        maps[level] = found.contiguous(memory_format=torch.channels_last)
    query = {level: value[shots:] for level, value in maps.items()}
    support = {level: value[None, :shots] for level, value in maps.items()}
    query["t"] = support["t"] = torch.tensor([[-6.0]])
    return query, support, masks[:, :shots], masks[:, shots]


def rows() -> list[dict[str, Any]]:
    """Compare the test mode without and with refinement and with text, and the training mode."""
    query, support, support_mask, query_mask = episode()
    channels = dict.fromkeys(GRIDS, CHANNELS)
    plain, refining = Head(channels).eval(), Head(channels, refinement_steps=STEPS).eval()
    # The literal form is faster on the other memory layout, so it gets that.
    maps = [query[level].contiguous() for level in GRIDS]
    first = [support[level][:, 0].contiguous() for level in GRIDS]
    t, loss = query["t"], EpisodeLoss()

    def ours(host: QNet, text: Tensor | None = None) -> Tensor:
        return host.decode(query, host.encode(support, support_mask, text))

    def naive(is_refined: bool) -> Tensor:
        prototypes = [literal_prototype(each, support_mask[:, 0]) for each in first]
        if is_refined:
            prototypes = [literal_refined(*each, t) for each in zip(maps, prototypes, strict=True)]
        return literal_mix(maps, prototypes, t)

    table = []
    factory = partial(SemanticGuidance, text_dim=TEXT_DIM, background_embedding=torch.randn(TEXT_DIM), alpha=0.0)
    guided, text = Head(channels, guidance=factory).eval(), torch.randn(1, 1, TEXT_DIM)
    # A share of zero costs what any other does, and must give the result without text.
    cases = (
        ("qnet forward", partial(ours, plain), partial(naive, False)),
        (f"qnet forward, {STEPS} steps of refinement", partial(ours, refining), partial(naive, True)),
        ("qnet with text, forward (literal: without)", partial(ours, guided, text), partial(naive, False)),
    )
    with torch.no_grad():
        for name, mine, theirs in cases:
            difference = (mine().softmax(1) - theirs().softmax(1)).abs().max().item()
            table.append(compare(name, mine, theirs, max_difference=difference, rounds=7))

    inputs = [*(query[level] for level in GRIDS), *(support[level] for level in GRIDS)]
    naive_inputs = [*maps, *first]
    for each in (*inputs, *naive_inputs):
        each.requires_grad_()

    def step() -> Tensor:
        terms = plain.training_terms(query, support, support_mask, query_mask, plain.encode(support, support_mask))
        return _flat(torch.autograd.grad(loss(terms, query_mask), inputs))

    def naive_step() -> Tensor:
        logits = naive(False)
        found = logits.argmax(1, keepdim=True).float()
        prototypes = [literal_prototype(each, found) for each in maps]
        aligned = literal_mix(first, prototypes, t)
        weight = torch.tensor([0.1, 1.0])
        total = F.nll_loss(logits, query_mask[:, 0].long(), weight) + F.nll_loss(aligned, support_mask[:, 0, 0].long())
        return _flat(torch.autograd.grad(total, naive_inputs))

    difference = (step() - naive_step()).abs().max().item()
    table.append(compare("qnet training, forward and backward", step, naive_step, max_difference=difference, rounds=3))
    return table


def _flat(gradients: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in gradients])


if __name__ == "__main__":
    run(rows, __doc__)
