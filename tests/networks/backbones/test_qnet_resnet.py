# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from scripts.networks.backbones.qnet_resnet import qnet_backbone, qnet_resnet101


def test_strides_widths_and_size() -> None:
    network = qnet_resnet101()
    assert not network.training
    assert sum(parameter.numel() for parameter in network.parameters()) == 42_500_160
    with torch.no_grad():
        x = network.maxpool(network.act1(network.bn1(network.conv1(torch.zeros(1, 3, 64, 48)))))
        shapes = []
        for layer in (network.layer1, network.layer2, network.layer3, network.layer4):
            x = layer(x)
            shapes.append(tuple(x.shape[1:]))
    assert shapes == [(256, 16, 12), (512, 16, 12), (1024, 16, 12), (2048, 8, 6)]
    assert [block.conv2.dilation[0] for block in network.layer2] == [1, 2, 2, 2]
    assert [block.conv2.dilation[0] for block in network.layer3][:3] == [2, 4, 4]


def test_backbone_from_a_whole_resnet(tmp_path: Path) -> None:
    """The classifier of the weights it starts from is left out."""
    save_file({**qnet_resnet101().state_dict(), "fc.bias": torch.zeros(3)}, tmp_path / "resnet101.safetensors")
    maps = qnet_backbone(tmp_path / "resnet101.safetensors").select(("c4", "c5"))(torch.rand(1, 3, 64, 48))
    assert {level: tuple(value.shape[1:]) for level, value in maps.items()} == {
        "c4": (1024, 16, 12),
        "c5": (2048, 8, 6),
    }
