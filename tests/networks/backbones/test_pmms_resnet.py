# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from scripts.networks.backbones.pmms_resnet import pmms_backbone, pmms_resnet50


def test_grid_widths_and_size() -> None:
    network = pmms_resnet50()
    assert not network.training
    assert sum(parameter.numel() for parameter in network.parameters()) == 8_543_296
    with torch.no_grad():
        x = network.maxpool(network.act1(network.bn1(network.conv1(torch.zeros(1, 3, 65, 50)))))
        shapes = []
        for layer in (network.layer1, network.layer2, network.layer3):
            x = layer(x)
            shapes.append(tuple(x.shape[1:]))
    assert shapes == [(256, 17, 13), (512, 9, 7), (1024, 9, 7)]
    assert all(block.conv2.dilation == (2, 2) for block in network.layer3)
    assert network.layer2[0].conv1.stride == (2, 2)


def test_backbone_from_a_whole_resnet(tmp_path: Path) -> None:
    """Layer4 and classifier of the weights it starts from are left out."""
    network = pmms_resnet50()
    state = {**network.state_dict(), "layer4.0.conv1.weight": torch.zeros(2), "fc.bias": torch.zeros(3)}
    save_file(state, tmp_path / "resnet50.safetensors")
    backbone = pmms_backbone(tmp_path / "resnet50.safetensors").select(("c3", "c4"))
    image = torch.rand(1, 3, 65, 65)
    maps = backbone(image)
    with torch.no_grad():
        x = network.maxpool(network.act1(network.bn1(network.conv1((image - backbone.mean) / backbone.std))))
        expected = network.layer3(network.layer2(network.layer1(x)))
    torch.testing.assert_close(maps["c4"], expected, rtol=1e-3, atol=1e-4)
    assert maps["c3"].shape == (1, 512, 9, 9)
