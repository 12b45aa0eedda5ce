# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""An altered copy of a support image plays the query."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scripts.networks.adaptation import AugmentedSupport
from scripts.networks.adaptation.augmentation import augment
from scripts.networks.prompt import SupportSet

STEPS, SHOTS, SIDE = 6, 3, 16


class Recorder(nn.Module):
    """A host that keeps the queries it was shown, and whose loss is linear in its weight."""

    levels = ("c4",)

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.shown: list[tuple[Tensor, Tensor]] = []

    def adaptable_parameters(self) -> Iterator[nn.Parameter]:
        return self.parameters()

    def encode(self, features: dict[str, Tensor], label: Tensor, text: Tensor | None) -> Tensor:
        assert list(features) == ["c4"]
        assert torch.is_grad_enabled()
        return self.weight

    def adaptation_terms(
        self, query: dict[str, Tensor], features: dict[str, Tensor], label: Tensor, mask: Tensor, context: Tensor
    ) -> Tensor:
        self.shown.append((query["c4"], mask))
        assert list(query) == ["c4"]
        return context


def features_of(image: Tensor) -> dict[str, Tensor]:
    assert not torch.is_grad_enabled()
    return {"c3": image, "c4": 2 * image}


@pytest.fixture
def support() -> SupportSet:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, SHOTS, 3, SIDE, SIDE, generator=generator)
    label = torch.zeros(1, SHOTS, 1, SIDE, SIDE)
    for shot in range(SHOTS):
        label[0, shot, 0, : 4 * (shot + 1)] = 1
    maps = torch.zeros(1, SHOTS, 2, 4, 4)
    return SupportSet({"c3": maps, "c4": maps, "image": images}, label, None)


def tune(support: SupportSet, **options: Any) -> tuple[Recorder, dict[str, Tensor]]:
    host = Recorder()
    adaptation = AugmentedSupport(
        partial(torch.optim.SGD, lr=0.5), lambda terms, mask: terms.sum(), **{"steps": STEPS, **options}
    )
    return host, adaptation(SimpleNamespace(host=host, features=features_of), support)


def test_every_step_has_a_query_of_its_own(support: SupportSet) -> None:
    """As drawn step by step: the shot, then its alteration."""
    host, tuned = tune(support, seed=3)
    generator = torch.Generator().manual_seed(3)
    assert len(host.shown) == STEPS
    for query, mask in host.shown:
        shot = int(torch.randint(SHOTS, [], generator=generator))
        image, label = augment(support.features["image"][0, shot], support.label[0, shot], generator)
        assert torch.equal(query, 2 * image[None])
        assert torch.equal(mask, label[None])
        assert query.shape == (1, 3, SIDE, SIDE)
        assert mask.shape == (1, 1, SIDE, SIDE)
    assert tuned["weight"].item() == -0.5 * STEPS


def test_the_seed_alone_chooses(support: SupportSet) -> None:
    torch.manual_seed(1)
    first, _ = tune(support)
    torch.manual_seed(2)
    again, _ = tune(support)
    other, _ = tune(support, seed=1)
    for one, two in zip(first.shown, again.shown, strict=True):
        assert torch.equal(one[0], two[0])
    assert not all(torch.equal(one[0], two[0]) for one, two in zip(first.shown, other.shown, strict=True))


def test_images_in_half_precision(support: SupportSet) -> None:
    halves = {**support.features, "image": support.features["image"].half()}
    host, _ = tune(support._replace(features=halves), steps=1)
    assert host.shown[0][0].dtype == torch.float32


def test_it_needs_the_images(support: SupportSet) -> None:
    assert AugmentedSupport.needs_images
    without = support._replace(features={"c3": support.features["c3"], "c4": support.features["c4"]})
    with pytest.raises(
        ValueError, match=r"^AugmentedSupport alters the support images: put them beside their features, under 'image'$"
    ):
        tune(without)
