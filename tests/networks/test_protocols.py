# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What ships keeps to the protocols, and what keeps to them and no more is enough for the segmenter."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scripts.networks.backbones import timm_backbone
from scripts.networks.feature_extractor import FeatureExtractor
from scripts.networks.hosts import Prototype
from scripts.networks.protocols import Backbone, FeatureSource, Refinement, TunedSegmenter
from scripts.networks.refinement import ColourCut
from scripts.networks.segmenter import IMAGE, Segmenter


class Pyramid(nn.Module):
    """What ``Backbone`` names, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "pyramid"
        self.channels = {"c4": 3, "c5": 3}
        self.levels: tuple[str, ...] = ()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {level: F.avg_pool2d(image - 0.5, {"c4": 16, "c5": 32}[level]) for level in self.levels}

    def select(self, levels: Sequence[str]) -> Pyramid:
        self.levels = tuple(levels)
        return self

    def fingerprint(self) -> str:
        return "none"


class MeanColour(NamedTuple):
    colour: Tensor


class Plain(nn.Module):
    """What ``Refinement`` names, without the size that it may want."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def encode(self, support_image: Tensor, support_label: Tensor) -> MeanColour:
        return MeanColour(support_image.mean(dim=(1, 3, 4)))

    def forward(self, logits: Tensor, image: Tensor, prompt: MeanColour) -> Tensor:
        self.seen.append(tuple(logits.shape))
        return logits + prompt.colour.mean(dim=1).view(-1, 1, 1, 1)


class Sized(Plain):
    logit_size = (20, 24)


def members(protocol: type) -> set[str]:
    return {name for name in (*inspect.get_annotations(protocol), *vars(protocol)) if not name.startswith("_")}


def episode() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    label = torch.zeros(1, 1, 1, 64, 64)
    label[..., 16:48, 16:48] = 1
    return torch.rand(1, 3, 64, 64), torch.rand(1, 1, 3, 64, 64), label


def make_segmenter(refinement: Refinement | None = None) -> Segmenter:
    return Segmenter(Pyramid(), Prototype(levels=("c4", "c5")), refinement).eval()


@pytest.mark.parametrize(
    ("protocol", "make"),
    [
        (Backbone, lambda: timm_backbone("resnet18", pretrained=False)),
        (Refinement, ColourCut),
        (FeatureSource, make_segmenter),
        (TunedSegmenter, make_segmenter),
    ],
)
def test_what_ships_keeps_to_it(protocol: Any, make: Any) -> None:
    part = make()
    assert members(protocol)
    assert {name for name in members(protocol) if not hasattr(part, name)} == set()
    assert callable(part)


def test_a_backbone_of_the_protocol_is_enough() -> None:
    image, support_image, support_label = episode()
    segmenter = make_segmenter()
    assert segmenter(image, support_image, support_label).shape == (1, 2, 64, 64)
    assert "backbone pyramid, levels c4 c5" in segmenter.description()
    assert FeatureExtractor(segmenter).fingerprint() == "none"


def test_a_refinement_that_wants_no_size_gets_the_hosts_grid() -> None:
    image, support_image, support_label = episode()
    for refinement, shape in ((Plain(), (1, 2, 4, 4)), (Sized(), (1, 2, 20, 24))):
        logits = make_segmenter(refinement)(image, support_image, support_label)
        assert refinement.seen == [shape]
        assert logits.shape == (1, 2, 64, 64)


def test_a_refined_prompt_needs_a_segmenter_that_refines() -> None:
    image, support_image, support_label = episode()
    prompt = make_segmenter(Plain()).encode_prompt(support_image, support_label)
    with pytest.raises(ValueError, match="encoded with a refinement, which this segmenter lacks: encode it anew"):
        make_segmenter().segment(image, prompt)


def test_an_adaptation_sees_host_and_features() -> None:
    source: TunedSegmenter = make_segmenter()
    assert set(source.features(torch.rand(1, 3, 64, 64))) == set(source.host.levels)
    assert IMAGE not in source.host.levels


def test_what_has_features_is_told_from_a_function_of_images() -> None:
    assert isinstance(make_segmenter(), FeatureSource)
    assert not isinstance(Pyramid(), FeatureSource)
