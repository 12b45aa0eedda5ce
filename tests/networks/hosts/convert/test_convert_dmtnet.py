# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scripts.networks.hosts import DMTNet
from scripts.networks.hosts.convert.dmtnet import convert_dmtnet
from scripts.networks.hosts.convert.hypercorrelation import head_names

CHANNELS = {
    **{f"c3.{i}": 512 for i in range(4)},
    **{f"c4.{i}": 1024 for i in range(6)},
    **{f"c5.{i}": 2048 for i in range(3)},
}


@pytest.fixture
def published() -> dict[str, Tensor]:
    """A state as the public repository writes it."""
    ours = DMTNet(CHANNELS).state_dict()
    state = {theirs: torch.randn_like(ours[name]) for theirs, name in head_names().items()}
    for index, width in enumerate((512, 1024, 2048) * 2, start=1):
        state[f"reference_layer{index}.weight"] = torch.randn(2, width)
        state[f"reference_layer{index}.bias"] = torch.randn(2)
    return {**state, "backbone.conv1.weight": torch.zeros(1), "backbone.bn1.num_batches_tracked": torch.zeros(1)}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_weight_finds_its_place(published: dict[str, Tensor], prefix: str) -> None:
    host = DMTNet(CHANNELS)
    host.load_state_dict(convert_dmtnet({prefix + name: value for name, value in published.items()}))
    for index in range(3):
        assert torch.equal(host.anchors[index].weight, published[f"reference_layer{index + 1}.weight"])
        # The public code takes the query's prototypes in the opposite order.
        of_query = published[f"reference_layer{index + 4}.weight"]
        assert torch.equal(host.query_anchors[index].weight, of_query[[1, 0]])
    first = host.head.squeeze[1].first.norm
    assert torch.equal(first.bias, published["hpn_learner.encoder_layer3.1.bias"])


def test_the_given_state_stays_as_it_is(published: dict[str, Tensor]) -> None:
    before = published["reference_layer4.weight"].clone()
    convert_dmtnet(published)
    assert torch.equal(published["reference_layer4.weight"], before)


def test_missing_and_unexpected_names_are_listed(published: dict[str, Tensor]) -> None:
    del published["reference_layer6.weight"]
    published["reference_layer7.weight"] = torch.zeros(2, 512)
    with pytest.raises(
        ValueError,
        match=r"not a DMTNet checkpoint: missing \['reference_layer6.weight'\]; "
        r"unexpected \['reference_layer7.weight'\]",
    ):
        convert_dmtnet(published)
