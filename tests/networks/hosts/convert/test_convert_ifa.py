# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scripts.networks.backbones.ifa_resnet import ifa_resnet50
from scripts.networks.hosts.convert.ifa import convert_ifa


@pytest.fixture
def published() -> dict[str, Tensor]:
    """Weights under the names of the public repository, which keeps the stem as a stage of its own."""
    torch.manual_seed(0)
    state = {}
    for name, value in ifa_resnet50().state_dict().items():
        theirs = name.replace("conv1.", "layer0.0.", 1) if name.startswith("conv1.") else name
        theirs = theirs.replace("bn1.", "layer0.1.", 1) if theirs.startswith("bn1.") else theirs
        state[theirs] = 1 + torch.rand(value.shape) if value.is_floating_point() else value + 7
    return state


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("has_counters", [True, False])
def test_every_weight_finds_its_place(published: dict[str, Tensor], prefix: str, has_counters: bool) -> None:
    given = {prefix + name: value for name, value in published.items() if has_counters or "num_batches" not in name}
    network = ifa_resnet50()
    network.load_state_dict(convert_ifa(given))
    assert torch.equal(network.conv1[6].weight, published["layer0.0.6.weight"])
    assert torch.equal(network.bn1.running_var, published["layer0.1.running_var"])
    assert torch.equal(network.layer3[5].conv3.weight, published["layer3.5.conv3.weight"])
    assert torch.equal(network.layer1[0].downsample[0].weight, published["layer1.0.downsample.0.weight"])


def test_missing_and_unexpected_names_are_listed(published: dict[str, Tensor]) -> None:
    del published["layer0.1.bias"]
    published["layer4.0.conv1.weight"] = torch.zeros(1)
    message = r"not a published IFA checkpoint: missing \['layer0.1.bias'\]; unexpected \['layer4.0.conv1.weight'\]"
    with pytest.raises(ValueError, match=message):
        convert_ifa(published)
