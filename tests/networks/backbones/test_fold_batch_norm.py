# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Batch norms within the convolutions before them."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from scripts.networks.backbones.fold_batch_norm import fold_batch_norm


@pytest.mark.parametrize("name", ["tf_efficientnet_lite2", "resnet18", "resnet50d"])
def test_folding_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False, num_classes=5).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = 0.1 * torch.randn(module.num_features)
            module.running_var = 1 + 0.1 * torch.rand(module.num_features)
    image = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        before = network.forward_features(image)
        norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
        assert fold_batch_norm(network) == norms > 0
        after = network.forward_features(image)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert (before - after).abs().max() <= 1e-5 * before.abs().max()
