# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scripts.networks.hosts import PATNet
from scripts.networks.hosts.convert.hypercorrelation import head_names
from scripts.networks.hosts.convert.patnet import convert_patnet

CHANNELS = {
    **{f"c3.{i}": 512 for i in range(4)},
    **{f"c4.{i}": 1024 for i in range(6)},
    **{f"c5.{i}": 2048 for i in range(3)},
}


@pytest.fixture
def published() -> dict[str, Tensor]:
    """A state as the public repository writes it, with names in place of trained weights."""
    ours = PATNet(CHANNELS).state_dict()
    state = {theirs: torch.randn_like(ours[name]) for theirs, name in head_names().items()}
    for index, width in enumerate((512, 1024, 2048), start=1):
        state[f"reference_layer{index}.weight"] = torch.randn(2, width)
        state[f"reference_layer{index}.bias"] = torch.randn(2)
    return {**state, "backbone.conv1.weight": torch.zeros(1), "backbone.bn1.num_batches_tracked": torch.zeros(1)}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_weight_finds_its_place(published: dict[str, Tensor], prefix: str) -> None:
    host = PATNet(CHANNELS)
    host.load_state_dict(convert_patnet({prefix + name: value for name, value in published.items()}))
    assert torch.equal(host.anchors[2].weight, published["reference_layer3.weight"])
    last = host.head.mix_finest[2].conv
    assert torch.equal(last.query_conv.weight, published["hpn_learner.encoder_layer3to2.6.conv1.weight"])
    assert torch.equal(last.support_conv.weight, published["hpn_learner.encoder_layer3to2.6.conv2.weight"])
    first = host.head.squeeze[2].first.norm
    assert torch.equal(first.weight, published["hpn_learner.encoder_layer4.1.weight"])


def test_missing_and_unexpected_names_are_listed(published: dict[str, Tensor]) -> None:
    del published["hpn_learner.decoder1.0.bias"], published["reference_layer2.weight"]
    published["reference_layer4.weight"] = torch.zeros(2, 512)
    with pytest.raises(
        ValueError,
        match=r"not a PATNet checkpoint: missing \['hpn_learner.decoder1.0.bias', 'reference_layer2.weight'\]; "
        r"unexpected \['reference_layer4.weight'\]",
    ):
        convert_patnet(published)
