# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from scripts.networks.blocks.mixture_head import ConvUnit, MixtureHead, PrototypeConv


@pytest.mark.parametrize("has_norm", [False, True])
@pytest.mark.parametrize("size", [(7, 6), (3, 2), (1, 5)])
def test_prototype_conv_equals_the_tiled_one(has_norm: bool, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    block = PrototypeConv(4, has_norm, 0.0).eval()
    if has_norm:
        block.unit.norm.running_mean.uniform_(-1, 1)
        block.unit.norm.running_var.uniform_(1, 2)
    maps, means = torch.randn(2, 4, *size), torch.randn(2, 3, 4)
    conv = block.unit.conv
    expected = 0
    for mean in means.unbind(1):
        tiled = torch.cat([maps, mean[:, :, None, None].expand_as(maps)], dim=1)
        expected = expected + block.unit.norm(F.conv2d(tiled, conv.weight, conv.bias, padding=2, dilation=2)).relu()
    torch.testing.assert_close(block(block.query_part(maps), means), expected, rtol=1e-4, atol=1e-5)


def test_conv_unit_takes_two_maps_or_zeros() -> None:
    torch.manual_seed(0)
    unit = ConvUnit(4, 5, extra_channels=2)
    maps, extra = torch.randn(2, 4, 6, 7), torch.randn(2, 2, 6, 7)
    for second, given in ((extra, extra), (torch.zeros_like(extra), None)):
        both = torch.cat([maps, second], dim=1)
        expected = F.conv2d(both, unit.conv.weight, unit.conv.bias, padding=1).relu()
        torch.testing.assert_close(unit(maps, given), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("has_norm", [False, True])
def test_head_by_the_definition(has_norm: bool) -> None:
    torch.manual_seed(0)
    head = MixtureHead(4, has_norm=has_norm, match_channels=0 if has_norm else 2, dropout=0.5).eval()
    maps, means, match, extra = (
        torch.randn(2, 4, 7, 6),
        torch.randn(2, 3, 4),
        torch.rand(2, 2, 7, 6),
        torch.rand(2, 2, 7, 6),
    )
    query_part = head.prototypes.query_part(maps)
    x = head.smooth(head.prototypes(query_part, means), None if has_norm else match)
    for index, branch in enumerate(head.trunk):
        entering = torch.cat([x, extra], dim=1) if index == 0 else x
        first = F.conv2d(entering.relu(), branch.first.weight, branch.first.bias, padding=1).relu()
        x = x + F.conv2d(first, branch.second.weight, branch.second.bias, padding=1)
    pooled = head.pool(x.mean((2, 3), keepdim=True)).expand_as(x)
    branches = [
        F.conv2d(x, b.conv.weight, b.conv.bias, padding=p, dilation=d).relu()
        for b, p, d in zip(head.pyramid, (0, 6, 12, 18), (1, 6, 12, 18), strict=True)
    ]
    merged = F.conv2d(torch.cat([pooled, *branches], dim=1), head.merge.conv.weight, head.merge.conv.bias)
    expected = head.classify(head.merge.norm(merged).relu())
    found = head(query_part, means, None if has_norm else match, extra)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    without = head(query_part, means, None if has_norm else match, None)
    zeros = head(query_part, means, None if has_norm else match, torch.zeros_like(extra))
    torch.testing.assert_close(without, zeros)


def test_dropout_takes_whole_channels_in_training_only() -> None:
    torch.manual_seed(0)
    unit = ConvUnit(3, 64, dropout=0.5)
    maps = torch.rand(1, 3, 5, 5) + 1
    dropped = unit(maps).flatten(2).abs().sum(2) == 0
    kept = unit.eval()(maps).flatten(2).abs().sum(2) == 0
    assert dropped.sum() > kept.sum() + 10
