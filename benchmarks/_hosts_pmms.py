# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Rows of ``benchmarks/hosts.py``: PMMs and RPMMs at their published size against the literal formulation.

One episode of 321 x 321 pixels after ResNet-50: maps of 512 and 1024 channels and 41 x 41 cells.

python benchmarks/_hosts_pmms.py [--json FILE]
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "bundle")]

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from _harness import compare, run  # noqa: E402
from scripts.losses import EpisodeLoss  # noqa: E402
from scripts.networks.blocks.mixture_head import ConvUnit  # noqa: E402
from scripts.networks.hosts import PMMs, RPMMs  # noqa: E402
from scripts.networks.semantic_guidance import SemanticGuidance  # noqa: E402

SIDE, GRID = 321, 41
WIDTHS = {"c3": 512, "c4": 1024}
TEXT_DIM = 512

Features = dict[str, Tensor]


class LiteralHost(nn.Module):
    """PMMs or RPMMs as published: masked copies of the map, a mean tiled beside the query for every P-Conv.

    Args:
        host: whose weights are used.
    """

    def __init__(self, host: PMMs) -> None:
        super().__init__()
        self.host = host
        weight = torch.cat(list(host.embedding.weights), dim=1).detach()
        self.embedding_weight = nn.Parameter(weight)

    def embedded(self, maps: Tensor) -> Tensor:
        return F.conv2d(maps, self.embedding_weight, self.host.embedding.bias, padding=2, dilation=2)

    def forward(self, query: Features, support: Features, mask: Tensor) -> list[Tensor]:
        """Logits of every stage from {level: (B, C, h, w)}, {level: (B, C, h, w)} and (B, 1, H, W)."""
        embed, head = self.host.embedding, self.host.head
        own, maps = (
            embed.norm(self.embedded(torch.cat(list(each.values()), dim=1))).relu() for each in (support, query)
        )
        weight = F.interpolate(mask, own.shape[2:], mode="bilinear", align_corners=True)
        answers: list[Tensor] = []
        begin = 0
        for count in self.host.counts:
            start = self.host.start[begin : begin + count].T
            foreground, background = (_means((own * side).flatten(2), start) for side in (weight, 1 - weight))
            with torch.no_grad():
                assigned = (maps.flatten(2).transpose(1, 2) @ torch.cat([foreground, background], dim=2)).softmax(2)
                sides = [assigned[:, :, count:].sum(2), assigned[:, :, :count].sum(2)]
                match = torch.stack(sides, dim=1).unflatten(2, maps.shape[2:])
            tiled = [mean[:, :, None, None].expand_as(maps) for mean in foreground.unbind(2)]
            met = torch.stack([_unit(head.prototypes.unit, torch.cat([maps, mean], dim=1)) for mean in tiled]).sum(0)
            if self.host.match_channels:
                previous = answers[-1].softmax(1) if answers else torch.zeros_like(match)
                answers.append(_head(head, torch.cat([met, match], dim=1), previous))
            else:
                answers.append(_head(head, met, match))
            begin += count
        return answers


def _means(samples: Tensor, start: Tensor) -> Tensor:
    """Expectation maximisation on (B, C, N) from (C, k): (B, C, k); the last iteration passes gradients on."""
    means = start.expand(samples.shape[0], -1, -1)
    is_training = torch.is_grad_enabled()
    for step in range(10):
        with torch.set_grad_enabled(is_training and step == 9):
            responsibility = (20 * samples.transpose(1, 2) @ means).softmax(dim=2)
            means = samples @ (responsibility / (1e-6 + responsibility.sum(dim=1, keepdim=True)))
            means = means / (1e-6 + means.norm(dim=1, keepdim=True))
    return means


def _unit(unit: ConvUnit, maps: Tensor) -> Tensor:
    conv = unit.conv
    return unit.norm(F.conv2d(maps, conv.weight, conv.bias, padding=conv.padding, dilation=conv.dilation)).relu()


def _head(head: Any, met: Tensor, extra: Tensor) -> Tensor:
    maps = _unit(head.smooth, met)
    for index, branch in enumerate(head.trunk):
        entering = torch.cat([maps, extra], dim=1) if index == 0 else maps
        first = F.conv2d(entering.relu(), branch.first.weight, branch.first.bias, padding=1)
        maps = maps + F.conv2d(first.relu(), branch.second.weight, branch.second.bias, padding=1)
    pooled = _unit(head.pool, maps.mean(dim=(2, 3), keepdim=True)).expand_as(maps)
    merged = torch.cat([pooled, *(_unit(branch, maps) for branch in head.pyramid)], dim=1)
    return head.classify(_unit(head.merge, merged))


def episode(shots: int = 1) -> tuple[Features, Features, Tensor, Tensor]:
    """Maps with a direction for foreground and one for background: query, support, support mask, query mask."""
    torch.manual_seed(0)
    masks = torch.zeros(1, shots + 1, 1, SIDE, SIDE)
    masks[..., 90:230, 70:210] = 1
    share = F.interpolate(masks.flatten(0, 1), (GRID, GRID), mode="area")
    maps: Features = {}
    for level, width in WIDTHS.items():
        inside, outside = torch.randn(2, width, 1, 1)
        noise = torch.randn(shots + 1, width, GRID, GRID)
        # Channels last, as the backbones of this project give their maps.
        found = (share * inside + (1 - share) * outside + noise).relu()
        maps[level] = found.contiguous(memory_format=torch.channels_last)
    query = {level: value[shots:] for level, value in maps.items()}
    support = {level: value[None, :shots] for level, value in maps.items()}
    return query, support, masks[:, :shots], masks[:, shots]


def rows() -> list[dict[str, Any]]:
    """Compare forward, forward with backward, and forward with text, of both variants."""
    return [row for kind in (PMMs, RPMMs) for row in rows_of(kind)]


def rows_of(kind: type[PMMs]) -> list[dict[str, Any]]:
    query, support, support_mask, query_mask = episode()
    torch.manual_seed(0)
    host = kind(WIDTHS, dropout=0.0).eval()
    literal = LiteralHost(host)
    first = {level: maps[:, 0] for level, maps in support.items()}
    loss, name = EpisodeLoss(), kind.__name__.lower()

    def ours() -> Tensor:
        return host.decode(query, host.encode(support, support_mask))

    def naive() -> Tensor:
        return literal(query, first, support_mask[:, 0])[-1]

    def step() -> Tensor:
        host.zero_grad()
        context = host.encode(support, support_mask)
        loss(host.training_terms(query, support, support_mask, query_mask, context), query_mask).backward()
        return _gradients(host)

    def naive_step() -> Tensor:
        host.zero_grad()
        stages = literal(query, first, support_mask[:, 0])
        torch.stack([loss(host.upsample(logits, query_mask), query_mask) for logits in stages]).sum().backward()
        return _gradients(host)

    with torch.no_grad():
        difference = (ours() - naive()).abs().max().item()
        table = [compare(f"{name} forward", ours, naive, max_difference=difference, rounds=7)]
    difference = (step() - naive_step()).abs().max().item()
    table.append(compare(f"{name} forward and backward", step, naive_step, max_difference=difference, rounds=3))

    factory = partial(SemanticGuidance, text_dim=TEXT_DIM, background_embedding=torch.randn(TEXT_DIM), alpha=0.0)
    guided = kind(WIDTHS, dropout=0.0, guidance=factory).eval()
    guided.load_state_dict(host.state_dict(), strict=False)
    text = torch.randn(1, 1, TEXT_DIM)

    def with_text() -> Tensor:
        return guided.decode(query, guided.encode(support, support_mask, text))

    # A share of zero costs what any other does, and must give the result without text.
    with torch.no_grad():
        difference = (with_text() - naive()).abs().max().item()
        title = f"{name} with text, forward (literal: without)"
        table.append(compare(title, with_text, naive, max_difference=difference, rounds=5))
    return table


def _gradients(host: nn.Module) -> Tensor:
    """Gradients of all parameters but those of the embedding, whose parts differ."""
    grads = [value.grad for name, value in host.named_parameters() if not name.startswith("embedding.weights")]
    return torch.cat([grad.flatten() for grad in grads if grad is not None])


if __name__ == "__main__":
    run(rows, __doc__)
