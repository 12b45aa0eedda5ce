# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from scripts.networks import Segmenter
from scripts.networks.backbones.ifa_resnet import ifa_backbone, ifa_resnet50
from scripts.networks.hosts import IFA


def test_shape_sign_and_size() -> None:
    network = ifa_resnet50()
    with torch.no_grad():
        features = network.forward_features(torch.rand(1, 3, 48, 32))
    assert features.shape == (1, 1024, 6, 4)
    assert features.min() < 0  # the last ReLU is left out
    assert sum(parameter.numel() for parameter in network.parameters()) == 8_667_072


def test_backbone_for_the_host(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ifa_resnet50()
    save_file(network.state_dict(), tmp_path / "ifa.safetensors")
    backbone = ifa_backbone(tmp_path / "ifa.safetensors")
    assert {level: width for level, width in backbone.channels.items() if "." not in level} == {
        "c2": 256,
        "c3": 512,
        "c4": 1024,
    }
    image = torch.rand(1, 3, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = network.forward_features((image - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        torch.testing.assert_close(backbone.select(["c4"])(image)["c4"], expected, rtol=1e-3, atol=1e-4)
    label = torch.zeros(1, 1, 1, 64, 64)
    label[..., 16:48, 16:48] = 1
    segmenter = Segmenter(backbone, IFA()).eval()
    assert segmenter(image, image[None], label).shape == (1, 2, 64, 64)
