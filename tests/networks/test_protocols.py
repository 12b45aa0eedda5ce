# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What parts of the segmenter ask of each other."""

from __future__ import annotations

import torch
from torch import Tensor

from scripts.networks import Segmenter
from scripts.networks.backbones import efficientnet_lite2
from scripts.networks.hosts import Matching
from scripts.networks.protocols import FeatureSource


def test_what_has_features_is_told_from_a_function_of_images() -> None:
    backbone = efficientnet_lite2()
    segmenter = Segmenter(backbone, Matching(backbone.channels))
    assert isinstance(segmenter, FeatureSource)
    assert not isinstance(backbone, FeatureSource)

    def function(image: Tensor) -> dict[str, Tensor]:
        return {"c4": image}

    assert not isinstance(function, FeatureSource)
    source: FeatureSource = segmenter
    assert set(source.features(torch.rand(1, 3, 64, 64))) == set(segmenter.host.levels)
