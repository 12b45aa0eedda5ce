# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One prompt for many queries, a few at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from scripts.inferers import EpisodeInferer
from scripts.networks import Segmenter
from scripts.networks.hosts import Prototype


class ToyBackbone(nn.Module):
    """One level of strided averages; counts its images."""

    name = "toy"
    channels = {"c4": 3}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.passes: list[int] = []

    def select(self, levels: tuple[str, ...]) -> ToyBackbone:
        return self

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        self.passes.append(len(image))
        return {"c4": nn.functional.avg_pool2d(image, 2)}


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(ToyBackbone(), Prototype(channels={"c4": 3}, levels=("c4",))).eval()


def task(num_queries: int, shots: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    label = torch.zeros(1, shots, 1, 8, 8)
    label[..., 2:6, 2:6] = 1
    image, support = (
        torch.rand(num_queries, 3, 8, 8, generator=generator),
        torch.rand(1, shots, 3, 8, 8, generator=generator),
    )
    return image, support, label


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_any_batch_size_gives_the_same(segmenter: Segmenter, batch_size: int) -> None:
    image, support, label = task(7)
    found = EpisodeInferer(batch_size)(image, segmenter, support, label)
    single = [segmenter(query[None], support, label) for query in image]
    assert torch.allclose(found, torch.cat(single), atol=1e-6)


def test_the_prompt_is_encoded_once(segmenter: Segmenter) -> None:
    image, support, label = task(7)
    EpisodeInferer(3)(image, segmenter, support, label)
    assert segmenter.backbone.passes == [2, 3, 3, 1]


def test_features_in_place_of_images(segmenter: Segmenter) -> None:
    image, support, label = task(5)
    features = segmenter.features(image)
    supports = {level: maps[None] for level, maps in segmenter.features(support[0]).items()}
    segmenter.backbone.passes.clear()
    found = EpisodeInferer(2)(features, segmenter, supports, label)
    assert found.shape == (5, 2, 4, 4)
    assert segmenter.backbone.passes == []


def test_logits_of_the_size_that_is_asked_for(segmenter: Segmenter) -> None:
    segmenter.align_corners = True
    image, support, label = task(5)
    features = segmenter.features(image)
    supports = {level: maps[None] for level, maps in segmenter.features(support[0]).items()}
    found = EpisodeInferer(2)(features, segmenter, supports, label, output_size=(11, 9))
    own = EpisodeInferer(2)(features, segmenter, supports, label)
    assert torch.allclose(found, nn.functional.interpolate(own, (11, 9), mode="bilinear", align_corners=True))


def test_no_query_is_refused(segmenter: Segmenter) -> None:
    _, support, label = task(1)
    with pytest.raises(ValueError, match="no image to segment"):
        EpisodeInferer(2)(torch.zeros(0, 3, 8, 8), segmenter, support, label)


def test_batch_size_is_checked() -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        EpisodeInferer(0)
