# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scripts.networks.hosts import QNet
from scripts.networks.hosts.convert.qnet import convert_qnet

SHAPES = {
    "encoder.reduce1.weight": (512, 1024, 1, 1),
    "encoder.reduce2.weight": (512, 2048, 1, 1),
    "encoder.backbone.fc.weight": (1000, 2048),
    "encoder.backbone.fc.bias": (1000,),
    "encoder.reduce1d.weight": (1, 1000),
    "encoder.reduce1d.bias": (1,),
}


@pytest.fixture
def published() -> dict[str, Tensor]:
    torch.manual_seed(0)
    state = {name: torch.randn(shape) for name, shape in SHAPES.items()}
    return {**state, "encoder.backbone.layer3.22.conv1.weight": torch.zeros(1)}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_weight_finds_its_place(published: dict[str, Tensor], prefix: str) -> None:
    host = QNet({"c4": 1024, "c5": 2048})
    host.load_state_dict(convert_qnet({prefix + name: value for name, value in published.items()}))
    features = {"c4": torch.randn(1, 1024, 3, 2), "c5": torch.randn(1, 2048, 2, 1)}
    fine, coarse = host.embed(features)
    for maps, source, name in ((fine, "c4", "reduce1"), (coarse, "c5", "reduce2")):
        weight = published[f"encoder.{name}.weight"][:, :, 0, 0]
        torch.testing.assert_close(maps[..., 0, 0], features[source][..., 0, 0] @ weight.T, rtol=1e-4, atol=1e-3)
    deepest = features["c5"].mean((2, 3))
    hidden = deepest @ published["encoder.backbone.fc.weight"].T + published["encoder.backbone.fc.bias"]
    t = hidden @ published["encoder.reduce1d.weight"].T + published["encoder.reduce1d.bias"]
    torch.testing.assert_close(host.threshold(features), t, rtol=1e-4, atol=1e-3)


def test_missing_and_unexpected_names_are_listed(published: dict[str, Tensor]) -> None:
    del published["encoder.reduce2.weight"]
    published["encoder.classifier.weight"] = torch.zeros(1)
    with pytest.raises(
        ValueError,
        match=r"not a Q-Net checkpoint: missing \['encoder.reduce2.weight'\]; "
        r"unexpected \['encoder.classifier.weight'\]",
    ):
        convert_qnet(published)
