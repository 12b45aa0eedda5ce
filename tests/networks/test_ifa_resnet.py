# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import torch

from scripts.networks.ifa_resnet import ifa_resnet50


def test_shape_sign_and_size() -> None:
    network = ifa_resnet50()
    with torch.no_grad():
        features = network.forward_features(torch.rand(1, 3, 48, 32))
    assert features.shape == (1, 1024, 6, 4)
    assert features.min() < 0  # the last ReLU is left out
    assert sum(parameter.numel() for parameter in network.parameters()) == 8_667_072
