# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch

from scripts.networks.backbones import timm_backbone
from scripts.networks.feature_extractor import FeatureExtractor
from scripts.networks.hosts import Prototype
from scripts.networks.refinement import ColourCut
from scripts.networks.segmenter import IMAGE, Segmenter


def make_segmenter(refinement: ColourCut | None = None) -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(timm_backbone("resnet18", pretrained=False), Prototype(levels=("c3", "c4")), refinement).eval()


@pytest.mark.parametrize("is_refined", [False, True])
def test_features_are_the_segmenters(is_refined: bool) -> None:
    segmenter = make_segmenter(ColourCut() if is_refined else None)
    extract = FeatureExtractor(segmenter)
    image = torch.rand(2, 3, 64, 64)
    features = extract(image)
    assert tuple(features) == extract.levels == (("c3", "c4", IMAGE) if is_refined else ("c3", "c4"))
    assert all(torch.equal(maps, segmenter.features(image)[level]) for level, maps in features.items())
    label = torch.zeros(1, 2, 1, 64, 64)
    label[..., :32, :] = 1
    support = {level: maps[None] for level, maps in features.items()}
    with torch.no_grad():
        from_features = segmenter.segment(image[:1], segmenter.encode_prompt(support, label))
        from_images = segmenter.segment(image[:1], segmenter.encode_prompt(image[None], label))
    torch.testing.assert_close(from_features, from_images)


def test_it_is_the_backbone_that_must_be_frozen() -> None:
    segmenter = make_segmenter()
    extract = FeatureExtractor(segmenter)
    assert list(extract.modules()) == list(segmenter.backbone.modules())
    assert segmenter.host not in list(extract.modules())


def test_fingerprint_follows_the_weights() -> None:
    segmenter = make_segmenter()
    extract = FeatureExtractor(segmenter)
    before = extract.fingerprint()
    assert before == segmenter.backbone.fingerprint() == FeatureExtractor(make_segmenter()).fingerprint()
    torch.manual_seed(1)
    other = Segmenter(timm_backbone("resnet18", pretrained=False), Prototype(levels=("c3", "c4")))
    assert FeatureExtractor(other).fingerprint() != before
