# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A few steps of an optimiser on copies: what is tuned, by how much, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scripts.networks.adaptation import Adaptation, SelfMatching
from scripts.networks.adaptation.base import SupportSet
from scripts.networks.hosts import IFA
from scripts.networks.hosts.base import Host
from scripts.networks.segmenter import Segmenter


class Toy(Host):
    """Tunes one of two parameters."""

    def __init__(self, tunes: bool = True) -> None:
        super().__init__()
        self.weight, self.other = nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.ones(1))
        self.tunes = tunes

    def adaptable_parameters(self) -> Iterator[nn.Parameter]:
        return iter([self.weight] if self.tunes else [])


class Square(Adaptation):
    """Half the square of the weight: a step of SGD takes the same share of it."""

    seen: list[int]

    def loss_of_step(self, segmenter: Any, support: SupportSet) -> Callable[[Any, int], Tensor]:
        self.seen = []

        def loss(host: Toy, step: int) -> Tensor:
            self.seen.append(step)
            return 0.5 * host.weight.square().sum() + host.other.sum()

        return loss


SUPPORT = SupportSet({}, torch.zeros(1, 2, 1, 4, 4), None)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_steps_of_the_optimiser(steps: int) -> None:
    host, adaptation = Toy(), Square(partial(torch.optim.SGD, lr=0.1), steps=steps)
    found = adaptation(SimpleNamespace(host=host), SUPPORT)
    assert list(found) == ["weight"]
    torch.testing.assert_close(found["weight"], 0.9**steps * torch.tensor([1.0, -2.0]))
    assert not found["weight"].requires_grad
    if steps:
        assert adaptation.seen == list(range(steps))


def test_the_host_stays_as_it_was_and_every_episode_has_a_new_optimiser() -> None:
    host, adaptation = Toy(), Square(partial(torch.optim.SGD, lr=0.1, momentum=0.9), steps=3)
    first, second = (adaptation(SimpleNamespace(host=host), SUPPORT) for _ in range(2))
    assert torch.equal(first["weight"], second["weight"])
    assert host.weight.tolist() == [1.0, -2.0]
    assert host.weight.grad is None
    assert host.other.grad is None


def test_it_tunes_where_gradients_and_precision_are_off() -> None:
    adaptation = Square(partial(torch.optim.SGD, lr=0.1), steps=1)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = adaptation(SimpleNamespace(host=Toy()), SUPPORT)
    torch.testing.assert_close(found["weight"], torch.tensor([0.9, -1.8]))
    with pytest.raises(NotImplementedError, match=r"Adaptation\.loss_of_step"):
        Adaptation(partial(torch.optim.SGD, lr=0.1), steps=1)(SimpleNamespace(host=Toy()), SUPPORT)


def test_what_cannot_be_tuned() -> None:
    optimizer = partial(torch.optim.SGD, lr=0.1)
    with pytest.raises(ValueError, match="an adaptation needs a number of steps that isn't negative, got -1"):
        Square(optimizer, steps=-1)
    with pytest.raises(ValueError, match=r"host Toy has no parameters to adapt; use configs/adaptation/off\.json"):
        Square(optimizer, steps=1)(SimpleNamespace(host=Toy(tunes=False)), SUPPORT)
    two = SUPPORT._replace(label=torch.zeros(2, 1, 1, 4, 4))
    with pytest.raises(ValueError, match="an adaptation is for one episode at a time, got 2"):
        Square(optimizer, steps=1)(SimpleNamespace(host=Toy()), two)


def ifa(channels: dict[str, int]) -> IFA:
    return IFA(channels, levels=("c3", "c4"), neck_channels=24)


class Failing(SelfMatching):
    def loss_of_step(self, segmenter: Segmenter, support: Any) -> Callable[[Any, int], Tensor]:
        def loss(host: nn.Module, step: int) -> Tensor:
            if step == 2:
                raise RuntimeError("in step 2")
            return sum(parameter.square().sum() for parameter in host.parameters())  # type: ignore[return-value]

        return loss


def test_back_after_an_error(make_segmenter: Any, episode: Any) -> None:
    query, images, labels = episode
    plain = make_segmenter(ifa)
    segmenter = make_segmenter(ifa, Failing(partial(torch.optim.Adam, lr=1.0), steps=5))
    own = dict(segmenter.named_parameters())
    with pytest.raises(RuntimeError, match="in step 2"):
        segmenter.encode_prompt(images, labels)
    assert all(segmenter.get_parameter(name) is parameter for name, parameter in own.items())
    segmenter.adaptation = None
    expected = plain.segment(query, plain.encode_prompt(images, labels))
    assert torch.equal(segmenter.segment(query, segmenter.encode_prompt(images, labels)), expected)


class Disconnected(SelfMatching):
    def loss_of_step(self, segmenter: Segmenter, support: Any) -> Callable[[Any, int], Tensor]:
        return lambda host, step: torch.ones((), requires_grad=True)


class WithoutGraph(SelfMatching):
    def loss_of_step(self, segmenter: Segmenter, support: Any) -> Callable[[Any, int], Tensor]:
        return lambda host, step: torch.ones(())


@pytest.mark.parametrize("kind", [WithoutGraph, Disconnected])
def test_a_loss_that_is_not_of_the_host(make_segmenter: Any, episode: Any, kind: type[SelfMatching]) -> None:
    _, images, labels = episode
    segmenter = make_segmenter(ifa, kind(partial(torch.optim.SGD, lr=0.1), steps=1))
    with pytest.raises(ValueError, match=rf"loss of {kind.__name__} doesn't reach what it tunes: neck\.mix\.weight"):
        segmenter.encode_prompt(images, labels)
