# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch

from scripts.networks import Segmenter, TrainedBackbone
from scripts.networks.backbones import timm_backbone
from scripts.networks.hosts import IFA


def make_backbone() -> TrainedBackbone:
    torch.manual_seed(0)
    return TrainedBackbone(timm_backbone("resnet18", pretrained=False), "c2")


def test_same_features_as_frozen() -> None:
    trained = make_backbone().select(["c3", "c4"])
    image = torch.rand(1, 3, 64, 64)
    for level, maps in trained(image).items():
        torch.testing.assert_close(maps, trained.backbone(image)[level])


def test_a_step_changes_what_comes_after_the_frozen_level() -> None:
    segmenter = Segmenter(make_backbone(), IFA(levels=("c4",))).train()
    label = torch.zeros(1, 1, 1, 64, 64)
    label[..., 16:48, 16:48] = 1
    before = {name: value.clone() for name, value in segmenter.backbone.state_dict().items()}
    logits = segmenter(torch.rand(1, 3, 64, 64), torch.rand(1, 1, 3, 64, 64), label)
    parameters = [parameter for parameter in segmenter.parameters() if parameter.requires_grad]
    torch.nn.functional.cross_entropy(logits, label[:, 0, 0].long()).backward()
    torch.optim.SGD(parameters, lr=0.1).step()
    changed = {name for name, value in segmenter.backbone.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(("backbone.body.layer2.", "backbone.body.layer3.")) for name in changed)
    # Random residual branches start at zero, so that only their last convolutions have a gradient in the first step.
    assert {name for name in before if name.startswith("backbone.body.layer3.") and "conv2" in name} <= changed
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in segmenter.backbone.modules())
    assert not any(part.training for part in segmenter.backbone.modules())


def test_weights_in_use_have_their_own_fingerprint() -> None:
    backbone = make_backbone().select(["c4"])
    before = backbone.fingerprint()
    with torch.no_grad():
        next(p for p in backbone.parameters() if p.requires_grad).add_(1.0)
    assert backbone.fingerprint() != before


def test_errors() -> None:
    with pytest.raises(ValueError, match="has no level 'c9'"):
        TrainedBackbone(timm_backbone("resnet18", pretrained=False), "c9")
    with pytest.raises(ValueError, match=r"levels \['c2'\] .* have nothing to train"):
        make_backbone().select(["c2"])
    with pytest.raises(ValueError, match="vit_tiny_patch16_224 runs as a whole"):
        TrainedBackbone(timm_backbone("vit_tiny_patch16_224", pretrained=False), "c2")
