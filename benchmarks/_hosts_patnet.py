# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Rows of ``benchmarks/hosts.py``: PATNet at its published size against the literal formulation.

One episode of 400 x 400 pixels after ResNet-50: maps of 50, 25 and 13 cells, 4, 6 and 3 of them.

python benchmarks/_hosts_patnet.py [--json FILE]
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
from scripts.losses import EpisodeLoss  # noqa: E402
from scripts.networks.blocks.hypercorrelation_head import CentrePivotBlock, HypercorrelationHead  # noqa: E402
from scripts.networks.hosts import PATNet  # noqa: E402
from scripts.networks.semantic_guidance import SemanticGuidance  # noqa: E402

SIDE = 400
STAGES = (("c3", 4, 512, 50), ("c4", 6, 1024, 25), ("c5", 3, 2048, 13))
TEXT_DIM = 512

Features = dict[str, Tensor]


class LiteralPATNet(nn.Module):
    """PATNet as published: pseudo-inverse, C x C maps, stored correlations, permutations around tiny convolutions.

    Args:
        host: whose weights are used.
    """

    def __init__(self, host: PATNet) -> None:
        super().__init__()
        self.host = host

    def forward(self, query: Features, support: Features, mask: Tensor) -> Tensor:
        """Segment {level: (B, C, h, w)} from {level: (B, C, h, w)} and (B, 1, H, W): (B, 2, 2h, 2w)."""
        pyramids = []
        for index, stage in enumerate(self.host.stages):
            anchors = self.host.anchors[index].weight
            anchors = anchors / (anchors.norm(dim=1, keepdim=True) + 1e-6)
            maps = [_correlate(query[level], support[level], mask, anchors) for level in stage]
            pyramids.append(torch.stack(maps, dim=1))
        return literal_head(self.host.head, pyramids)


def _correlate(query: Tensor, support: Tensor, mask: Tensor, anchors: Tensor) -> Tensor:
    """One map's correlation (B, h, w, h', w')."""
    with torch.no_grad():
        weights = F.interpolate(mask, support.shape[2:], mode="bilinear", align_corners=True)
        sides = [(support * side).sum((2, 3)) / (side.sum((2, 3)) + 1e-6) for side in (1.0 - weights, weights)]
        prototypes = torch.stack(sides, dim=1)
        prototypes = prototypes / (prototypes.norm(dim=2, keepdim=True) + 1e-6)
        masked = support * weights
    matrix = (torch.linalg.pinv(prototypes) @ anchors).transpose(1, 2)
    transformed = [(matrix @ maps.flatten(2)) for maps in (query, masked)]
    left, right = (maps / (maps.norm(dim=1, keepdim=True) + 1e-5) for maps in transformed)
    correlation = torch.bmm(left.transpose(1, 2), right).clamp(min=0)
    return correlation.unflatten(2, support.shape[2:]).unflatten(1, query.shape[2:])


def literal_block(block: CentrePivotBlock, maps: Tensor) -> Tensor:
    """A block on (B, C, h, w, h', w')."""
    stride = block.conv.stride
    kept = maps[..., ::stride, ::stride]
    batch, _, height, width, rows, columns = kept.shape
    over_query = block.conv.query_conv(kept.permute(0, 4, 5, 1, 2, 3).flatten(0, 2).contiguous())
    over_query = over_query.unflatten(0, (batch, rows, columns)).permute(0, 3, 4, 5, 1, 2).contiguous()
    over_support = block.conv.support_conv(maps.permute(0, 2, 3, 1, 4, 5).flatten(0, 2).contiguous())
    over_support = over_support.unflatten(0, (batch, height, width)).permute(0, 3, 1, 2, 4, 5).contiguous()
    return F.group_norm(over_query + over_support, 4, block.norm.weight, block.norm.bias).relu()


def literal_head(head: HypercorrelationHead, pyramids: list[Tensor]) -> Tensor:
    """The 4-D head on stored correlations (B, n, h, w, h', w'), finest first."""
    squeezed = []
    for stage, maps in zip(head.squeeze, pyramids, strict=True):
        for block in (stage.first, *stage.later):
            maps = literal_block(block, maps)
        squeezed.append(maps)
    mixed = squeezed[2]
    for finer, blocks in ((squeezed[1], head.mix_middle), (squeezed[0], head.mix_finest)):
        planes = mixed.permute(0, 4, 5, 1, 2, 3).flatten(0, 2)
        planes = F.interpolate(planes, finer.shape[2:4], mode="bilinear", align_corners=True)
        mixed = finer + planes.unflatten(0, (finer.shape[0], *finer.shape[4:])).permute(0, 3, 4, 5, 1, 2)
        for block in blocks:
            mixed = literal_block(block, mixed)
    features = head.decoder(mixed.mean(dim=(4, 5)))
    return head.classifier(F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=True))


def episode(shots: int = 1) -> tuple[Features, Features, Tensor, Tensor]:
    """Maps with a direction for foreground and one for background: query, support, support mask, query mask."""
    torch.manual_seed(0)
    masks = torch.zeros(1, shots + 1, 1, SIDE, SIDE)
    masks[..., 120:290, 90:260] = 1
    maps: Features = {}
    for stage, number, width, grid in STAGES:
        share = F.interpolate(masks.flatten(0, 1), (grid, grid), mode="area")
        for index in range(number):
            inside, outside = torch.randn(2, width, 1, 1)
            noise = torch.randn(shots + 1, width, grid, grid)
            found = share * inside + (1 - share) * outside + noise
            # Channels last, as the backbones of this project give their maps.
            maps[f"{stage}.{index}"] = found.contiguous(memory_format=torch.channels_last)
    query = {level: value[shots:] for level, value in maps.items()}
    support = {level: value[None, :shots] for level, value in maps.items()}
    return query, support, masks[:, :shots], masks[:, shots]


def rows() -> list[dict[str, Any]]:
    """Compare forward, forward with backward, and forward with text."""
    channels = {f"{stage}.{index}": width for stage, number, width, _ in STAGES for index in range(number)}
    query, support, support_mask, query_mask = episode()
    host = PATNet(channels)
    literal = LiteralPATNet(host)
    first = {level: maps[:, 0] for level, maps in support.items()}
    loss = EpisodeLoss()

    def ours() -> Tensor:
        return host.decode(query, host.encode(support, support_mask))

    def naive() -> Tensor:
        return literal(query, first, support_mask[:, 0])

    def trained(forward: Callable[[], Tensor], network: nn.Module) -> Tensor:
        network.zero_grad()
        loss(host.upsample(forward(), query_mask), query_mask).backward()
        return torch.cat([parameter.grad.flatten() for parameter in host.parameters()])

    with torch.no_grad():
        difference = (ours() - naive()).abs().max().item()
        table = [compare("patnet forward", ours, naive, max_difference=difference, rounds=5)]
    step, naive_step = partial(trained, ours, host), partial(trained, naive, host)
    difference = (step() - naive_step()).abs().max().item()
    table.append(compare("patnet forward and backward", step, naive_step, max_difference=difference, rounds=3))

    factory = partial(SemanticGuidance, text_dim=TEXT_DIM, background_embedding=torch.randn(TEXT_DIM), alpha=0.0)
    guided = PATNet(channels, guidance=factory)
    guided.load_state_dict(host.state_dict(), strict=False)
    text = torch.randn(1, 1, TEXT_DIM)

    def with_text() -> Tensor:
        return guided.decode(query, guided.encode(support, support_mask, text))

    # A share of zero costs what any other does, and must give the result without text.
    with torch.no_grad():
        difference = (with_text() - naive()).abs().max().item()
        table.append(
            compare(
                "patnet with text, forward (literal: without)", with_text, naive, max_difference=difference, rounds=5
            )
        )
    return table


if __name__ == "__main__":
    run(rows, __doc__)
