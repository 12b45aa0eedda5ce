# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Rows of ``benchmarks/hosts.py``: DMTNet at its published size against the literal formulation.

One episode of 400 x 400 pixels after ResNet-50, as for PATNet.

python benchmarks/_hosts_dmtnet.py [--json FILE]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "bundle")]

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from _harness import compare, run  # noqa: E402
from _hosts_patnet import STAGES, TEXT_DIM, Features, episode, literal_head  # noqa: E402
from scripts.losses import EpisodeLoss  # noqa: E402
from scripts.networks.blocks.cell_prototypes import cell_starts  # noqa: E402
from scripts.networks.hosts import DMTNet  # noqa: E402
from scripts.networks.semantic_guidance import SemanticGuidance  # noqa: E402

_CUT_OFF = 1e-5


class LiteralDMTNet(nn.Module):
    """DMTNet as published, save for its defects: a pass over the query per cell, C x C maps, stored correlations.

    Args:
        host: whose weights are used.
    """

    def __init__(self, host: DMTNet) -> None:
        super().__init__()
        self.host = host

    def forward(self, query: Features, support: Features, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Segment {level: (B, C, h, w)} from {level: (B, C, h, w)} and (B, 1, H, W): both branches (B, 2, 2h, 2w)."""
        pyramids: tuple[list[Tensor], list[Tensor]] = ([], [])
        for index, stage in enumerate(self.host.stages):
            anchors = self.host.anchors[index].weight, self.host.query_anchors[index].weight
            pairs = [self.correlate(query[level], support[level], mask, *anchors) for level in stage]
            for pyramid, maps in zip(pyramids, zip(*pairs, strict=True), strict=True):
                pyramid.append(torch.stack(maps, dim=1))
        return literal_head(self.host.head, pyramids[0]), literal_head(self.host.head, pyramids[1])

    def correlate(
        self, query: Tensor, support: Tensor, mask: Tensor, anchors: Tensor, query_anchors: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One map's correlations (B, h, w, h', w') with the support's foreground and background."""
        weights = F.interpolate(mask, support.shape[2:], mode="bilinear", align_corners=True)
        with torch.no_grad():
            coarse = _coarse_map(query, support, weights)
            hard = coarse.argmax(dim=1, keepdim=True).to(query.dtype)
            prototypes, query_prototypes = _prototypes(support, weights), _prototypes(query, hard)
        matrix, query_matrix = (
            (torch.linalg.pinv(_unit(rows, 1e-6), rtol=_CUT_OFF) @ self.dropped(learned, len(rows))).transpose(1, 2)
            for rows, learned in ((prototypes, anchors), (query_prototypes, query_anchors))
        )
        flat = query.flatten(2)
        left = 0.5 * (query_matrix @ flat) + 0.5 * (matrix @ flat)
        left = left / (left.norm(dim=1, keepdim=True) + 1e-5)
        results = []
        for side in (weights, 1.0 - weights):
            right = matrix @ (support * side).flatten(2)
            right = right / (right.norm(dim=1, keepdim=True) + 1e-5)
            correlation = torch.bmm(left.transpose(1, 2), right).clamp(min=0)
            results.append(correlation.unflatten(2, support.shape[2:]).unflatten(1, query.shape[2:]))
        return results[0], results[1]

    def dropped(self, anchors: Tensor, count: int) -> Tensor:
        """Anchors of every episode, after dropout."""
        return _unit(F.dropout(anchors.expand(count, -1, -1), 0.2, self.host.training), 1e-6)


def _unit(rows: Tensor, eps: float) -> Tensor:
    return rows / (rows.norm(dim=2, keepdim=True) + eps)


def _prototypes(maps: Tensor, weights: Tensor) -> Tensor:
    """Background and foreground average: (B, 2, C)."""
    sides = [(maps * side).sum((2, 3)) / (side.sum((2, 3)) + 1e-6) for side in (1.0 - weights, weights)]
    return torch.stack(sides, dim=1)


def _coarse_map(query: Tensor, support: Tensor, weights: Tensor) -> Tensor:
    """Mean cosine of the query with the cells that have the class: (B, 2, h, w)."""
    (rows, height), (columns, width) = cell_starts(support.shape[2]), cell_starts(support.shape[3])
    total = query.new_zeros(query.shape[0], 2, *query.shape[2:])
    count = query.new_zeros(query.shape[0], 2, 1, 1)
    for row in rows:
        for column in columns:
            cell = (..., slice(row, row + height), slice(column, column + width))
            local = _prototypes(support[cell], weights[cell])
            area = torch.stack([(1.0 - weights[cell]).sum((1, 2, 3)), weights[cell].sum((1, 2, 3))], dim=1)
            for side in range(2):
                is_used = (area[:, side] > 1e-3).to(query.dtype)[:, None, None]
                cosine = F.cosine_similarity(query, local[:, side, :, None, None], dim=1)
                total[:, side] += is_used * cosine
                count[:, side] += is_used
    return total / count.clamp_min(1.0)


def rows() -> list[dict[str, Any]]:
    """Compare test, training, test with text, and five shots."""
    channels = {f"{stage}.{index}": width for stage, number, width, _ in STAGES for index in range(number)}
    query, support, support_mask, query_mask = episode()
    host = DMTNet(channels).eval()
    literal = LiteralDMTNet(host)
    first = {level: maps[:, 0] for level, maps in support.items()}
    loss = EpisodeLoss()

    def ours() -> Tensor:
        return host.decode(query, host.encode(support, support_mask))

    def naive() -> Tensor:
        return literal(query, first, support_mask[:, 0])[0]

    def step() -> Tensor:
        host.zero_grad()
        context = host.encode(support, support_mask)
        terms = host.training_terms(query, support, support_mask, query_mask, context)
        return _gradients(host, loss(terms, query_mask))

    def naive_step() -> Tensor:
        host.zero_grad()
        branches = literal(query, first, support_mask[:, 0])
        targets = (query_mask, 1 - query_mask)
        losses = [
            loss(host.upsample(logits, query_mask), target) for logits, target in zip(branches, targets, strict=True)
        ]
        return _gradients(host, losses[0] + losses[1])

    with torch.no_grad():
        difference = (ours() - naive()).abs().max().item()
        table = [compare("dmtnet at test", ours, naive, max_difference=difference, rounds=3)]
    difference = (step() - naive_step()).abs().max().item()
    host.train()
    table.append(compare("dmtnet training step", step, naive_step, max_difference=difference, rounds=3))
    return [*table, *_further_rows(channels, naive)]


def _further_rows(channels: dict[str, int], naive: Callable[[], Tensor]) -> list[dict[str, Any]]:
    """With text, against the literal host without; and five shots at once, against five literal passes."""
    query, support, mask, _ = episode()
    text = torch.randn(1, 1, TEXT_DIM)
    factory = partial(SemanticGuidance, text_dim=TEXT_DIM, background_embedding=torch.randn(TEXT_DIM))
    guided = DMTNet(channels, guidance=factory).eval()
    many_query, many, many_mask, _ = episode(shots=5)
    host = DMTNet(channels).eval()
    literal = LiteralDMTNet(host)

    def with_text() -> Tensor:
        return guided.decode(query, guided.encode(support, mask, text))

    def five() -> Tensor:
        return host.decode(many_query, host.encode(many, many_mask))

    def five_naive() -> Tensor:
        passes = [
            literal(many_query, {level: maps[:, k] for level, maps in many.items()}, many_mask[:, k])[0]
            for k in range(5)
        ]
        return host.merge_shots(torch.stack(passes, dim=1))

    with torch.no_grad():
        without = float("nan")  # text changes the result
        difference = (five() - five_naive()).abs().max().item()
        return [
            compare("dmtnet at test, with text", with_text, naive, max_difference=without, rounds=3),
            compare("dmtnet at test, 5 shots", five, five_naive, max_difference=difference, rounds=1),
        ]


def _gradients(network: nn.Module, loss: Tensor) -> Tensor:
    loss.backward()
    return torch.cat([parameter.grad.flatten() for parameter in network.parameters()])  # type: ignore[union-attr]


if __name__ == "__main__":
    run(rows, __doc__)
