# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Backbones that several tests look at."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from scripts.networks.backbones import TimmBackbone, efficientnet_lite2


@pytest.fixture(scope="module")
def lite2() -> TimmBackbone:
    return efficientnet_lite2()


def randomise_norms(network: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data = 1 + 0.1 * torch.randn(module.num_features, generator=generator)
            module.bias.data = 0.1 * torch.randn(module.num_features, generator=generator)
            module.running_mean = 0.1 * torch.randn(module.num_features, generator=generator)
            module.running_var = 1 + 0.1 * torch.rand(module.num_features, generator=generator)


@pytest.fixture(scope="session")
def resnet_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random ResNet-50 in torchvision's layout that stops before layer4."""
    torch.manual_seed(0)
    network = timm.create_model("resnet50", pretrained=False)
    randomise_norms(network)
    state = {key: value for key, value in network.state_dict().items() if not key.startswith(("layer4", "fc"))}
    path = tmp_path_factory.mktemp("weights") / "resnet50.safetensors"
    save_file(state, path)
    return str(path)
