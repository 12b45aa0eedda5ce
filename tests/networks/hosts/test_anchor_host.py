# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What PATNet and DMTNet have in common."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from scripts.networks.hosts.anchor_host import AnchorHost, Anchors, stages_of

WIDTHS = {"c2": 4, "c3": 6, "c3.0": 6, "c4": 10, "c5": 14}


@pytest.fixture
def host(channels: dict[str, int]) -> AnchorHost:
    torch.manual_seed(0)
    return AnchorHost("toy", channels, None, None, "passes")


@pytest.fixture
def mosaic(channels: dict[str, int]) -> AnchorHost:
    return AnchorHost("toy", channels, None, None, "mosaic")


def test_anchors_are_unit_vectors() -> None:
    anchors = Anchors(5)
    torch.testing.assert_close(anchors(), anchors.weight / anchors.weight.norm(dim=1, keepdim=True), rtol=1e-4, atol=0)
    assert anchors().shape == (2, 5)


def test_blocks_by_stage_finest_first() -> None:
    assert stages_of("toy", ["c5", "c3.0", "c4", "c3"], WIDTHS) == [["c3.0", "c3"], ["c4"], ["c5"]]
    host = AnchorHost("toy", WIDTHS, None, None, "passes")
    assert host.levels == ("c3", "c3.0", "c4", "c5")
    assert [anchors.weight.shape for anchors in host.anchors] == [(2, 6), (2, 10), (2, 14)]


@pytest.mark.parametrize(
    ("widths", "levels", "message"),
    [
        (
            WIDTHS,
            ["c3", "c4"],
            r"host 'toy' needs levels of c3, c4 and c5, all three .*; got \['c3', 'c4'\]",
        ),
        (WIDTHS, ["c2", "c3", "c4", "c5"], "all three and no others"),
        (WIDTHS, ["c3", "c4", "c5.9"], r"host 'toy' asks for levels \['c5.9'\]"),
        ({**WIDTHS, "c3.0": 7}, None, r"blocks of one width in a stage, got {'c3': 6, 'c3.0': 7}; choose levels"),
    ],
)
def test_levels_that_cannot_be_used(widths: dict[str, int], levels: list[str] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnchorHost("toy", widths, levels, None, "passes")


def test_unknown_merging(channels: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"host 'toy': shot_merging must be one of \['passes', 'mosaic'\], got 'mean'"):
        AnchorHost("toy", channels, None, None, "mean")


def test_every_shot_is_a_pass(make_episode: Any, host: AnchorHost) -> None:
    """Prototypes are averages under the sampled mask and its rest, shot by shot."""
    _, support, masks = make_episode(2, 3)
    found = host.passes(support, masks[:, :3], None)
    assert found.is_used.shape == (6, 1)
    assert found.is_used.all()
    assert found.text.shape == (2, 0)
    for b in range(2):
        for k in range(3):
            maps = support["c4"][b, k]
            share = F.interpolate(masks[b, k][None], maps.shape[1:], mode="bilinear", align_corners=True)[0, 0]
            for side, weight in enumerate((share, 1 - share)):
                weight = weight * (weight >= 1e-5)
                expected = (maps * weight).sum((1, 2)) / weight.sum()
                torch.testing.assert_close(found.prototypes["c4"][3 * b + k, side], expected, rtol=1e-4, atol=1e-5)
    assert found.maps["c4"].shape == (6, 1, 10, 6, 6)
    assert found.weights["c4"].shape == (6, 1, 2, 6, 6)


def test_all_shots_are_one_pass_of_a_mosaic(make_episode: Any, mosaic: AnchorHost) -> None:
    _, support, masks = make_episode(2, 3)
    found = mosaic.passes(support, masks[:, :3], None)
    assert found.maps["c4"].shape == (2, 3, 10, 6, 6)
    weights, maps = found.weights["c4"][1], support["c4"][1]
    for side in range(2):
        expected = (maps * weights[:, side : side + 1]).sum((0, 2, 3)) / weights[:, side].sum()
        torch.testing.assert_close(found.prototypes["c4"][1, side], expected, rtol=1e-4, atol=1e-5)


def test_empty_shots_count_only_where_there_are_no_others(make_episode: Any, mosaic: AnchorHost) -> None:
    _, support, masks = make_episode(2, 2)
    mask = masks[:, :2].clone()
    mask[0, 1] = 0
    mask[1] = 0
    found = mosaic.passes(support, mask, None)
    assert found.is_used.tolist() == [[True, False], [True, True]]
    assert found.weights["c3"][0, 1].abs().max() == 0
    torch.testing.assert_close(found.weights["c3"][1, :, 1], torch.ones(2, 12, 12))


def test_unknown_pixels_are_on_neither_side(host: AnchorHost) -> None:
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 2:, :], mask[..., 0, 0] = 1, 255
    weights = host.mask_weights(mask, [4, 4], mask)
    assert weights[0, 0].tolist() == [[0] * 4] * 2 + [[1] * 4] * 2
    assert weights[0, 1].tolist() == [[0, 1, 1, 1], [1] * 4] + [[0] * 4] * 2


def test_shots_are_merged_as_probabilities(host: AnchorHost) -> None:
    """The mean of a half and of four fifths of foreground is 0.65."""
    logits = torch.tensor([[0.0, 0.0], [0.0, 3.0]]).log1p().view(1, 2, 2, 1, 1)  # odds of 1 and 4
    torch.testing.assert_close(host.merge_shots(logits).exp().flatten(), torch.tensor([0.35, 0.65]))
    one = torch.randn(3, 1, 2, 4, 4)
    assert torch.equal(host.merge_shots(one), one[:, 0])


def test_passes_are_read_in_their_order(host: AnchorHost) -> None:
    """Rows of (episode, pass): pass p of every episode goes through the head together."""
    host.head = lambda query, support: (10 * query[0] + support[0]).view(-1, 1, 1, 1).expand(-1, 2, 1, 1)
    query, support = torch.arange(6.0).view(6, 1), torch.ones(6, 1)
    logits = host.segment([query], [support], 3)
    assert logits.shape == (2, 3, 2, 1, 1)
    assert logits[:, :, 0, 0, 0].tolist() == [[1, 11, 21], [31, 41, 51]]


def test_cached_features_in_half_precision(make_episode: Any, host: AnchorHost) -> None:
    _, support, masks = make_episode(1, 1)
    halves = {level: maps.half() for level, maps in support.items()}
    found = host.passes(halves, masks[:, :1], None)
    assert {maps.dtype for maps in (*found.maps.values(), *found.prototypes.values())} == {torch.float32}
