# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from scripts.networks.blocks.anchor_transform import dense_correlation
from scripts.networks.blocks.hypercorrelation_head import CentrePivotBlock, HypercorrelationHead

NUMBERS = (4, 6, 3)


def factors(grids: tuple[tuple[int, int], ...], batch: int = 1, numbers: tuple[int, ...] = NUMBERS) -> list[Tensor]:
    return [torch.randn(batch, *grid, number, 2) for grid, number in zip(grids, numbers, strict=True)]


def literal_block(block: CentrePivotBlock, maps: Tensor) -> Tensor:
    """A block on (B, C, h, w, h', w'), with the permutations and tiny convolutions of the published formulation."""
    stride = block.conv.stride
    kept = maps[..., ::stride, ::stride]
    batch, _, height, width, rows, columns = kept.shape
    over_query = block.conv.query_conv(kept.permute(0, 4, 5, 1, 2, 3).flatten(0, 2))
    over_query = over_query.unflatten(0, (batch, rows, columns)).permute(0, 3, 4, 5, 1, 2)
    over_support = block.conv.support_conv(maps.permute(0, 2, 3, 1, 4, 5).flatten(0, 2))
    over_support = over_support.unflatten(0, (batch, height, width)).permute(0, 3, 1, 2, 4, 5)
    return F.group_norm(over_query + over_support, 4, block.norm.weight, block.norm.bias).relu()


def literal_head(head: HypercorrelationHead, query: list[Tensor], support: list[Tensor]) -> Tensor:
    squeezed = []
    for stage, left, right in zip(head.squeeze, query, support, strict=True):
        maps = dense_correlation(left, right)
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


def test_number_of_parameters() -> None:
    """PATNet's 2,573,794 with ResNet-50's 4, 6 and 3 blocks, 2,570,018 with VGG-16's 3, 3 and 1."""
    assert sum(value.numel() for value in HypercorrelationHead(NUMBERS).parameters()) == 2_573_794
    assert sum(value.numel() for value in HypercorrelationHead((3, 3, 1)).parameters()) == 2_570_018


@pytest.mark.parametrize("grids", [((10, 10), (5, 5), (3, 3)), ((8, 12), (4, 6), (2, 3)), ((36, 33), (18, 17), (9, 9))])
def test_equals_the_literal_head(grids: tuple[tuple[int, int], ...]) -> None:
    torch.manual_seed(0)
    head = HypercorrelationHead((2, 3, 1))
    query, support = factors(grids, 1, (2, 3, 1)), factors(grids, 1, (2, 3, 1))
    expected = literal_head(head, query, support)
    logits = head(query, support)
    assert logits.shape == (1, 2, 2 * grids[0][0], 2 * grids[0][1])
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    parameters = list(head.parameters())
    ours = torch.autograd.grad(logits.square().sum(), parameters)
    for mine, theirs in zip(ours, torch.autograd.grad(expected.square().sum(), parameters), strict=True):
        assert (mine - theirs).abs().max() <= 1e-3 * theirs.abs().max() + 1e-6
    with torch.inference_mode():
        torch.testing.assert_close(head(query, support), expected, rtol=1e-4, atol=1e-5)


def test_a_batch_equals_its_episodes() -> None:
    torch.manual_seed(0)
    head = HypercorrelationHead(NUMBERS)
    grids = ((8, 8), (4, 4), (2, 2))
    query, support = factors(grids, 3), factors(grids, 3)
    together = head(query, support)
    for index in range(3):
        one = slice(index, index + 1)
        alone = head([maps[one] for maps in query], [maps[one] for maps in support])
        torch.testing.assert_close(together[one], alone, rtol=1e-4, atol=1e-5)


def test_query_and_support_may_differ_in_size() -> None:
    head = HypercorrelationHead(NUMBERS)
    logits = head(factors(((6, 4), (3, 2), (2, 1))), factors(((8, 8), (4, 4), (2, 2))))
    assert logits.shape == (1, 2, 12, 8)


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"maps at strides 8, 16 and 32, got \[4, 6\]"):
        HypercorrelationHead((4, 6))
    dilated = factors(((36, 36), (36, 36), (36, 36)))
    with pytest.raises(ValueError, match=r"grids of two stages differ: \[5, 5\] and \[3, 3\].*output_stride 32"):
        HypercorrelationHead(NUMBERS)(dilated, dilated)
