# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import torch

from scripts.networks.pmms_resnet import pmms_resnet50


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
