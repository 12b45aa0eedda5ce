# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Fine-tuning by a host's own loss."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from scripts.networks.adaptation import SelfMatching
from scripts.networks.hosts import IFA, DMTNet, PATNet
from scripts.networks.prompt import SupportSet


def patnet(channels: dict[str, int]) -> PATNet:
    return PATNet({level: width for level, width in channels.items() if level in ("c3", "c4", "c5")})


def dmtnet(channels: dict[str, int]) -> DMTNet:
    return DMTNet({level: width for level, width in channels.items() if level in ("c3", "c4", "c5")})


def matched(steps: int) -> SelfMatching:
    return SelfMatching(partial(torch.optim.Adam, lr=0.02), steps=steps)


@pytest.mark.parametrize(("make_host", "share"), [(patnet, 0.9), (dmtnet, 0.997)])
def test_loss_on_the_support_falls(make_segmenter: Any, episode: Any, make_host: Any, share: float) -> None:
    _, images, labels = episode
    segmenter = make_segmenter(make_host, matched(10))
    adapted = segmenter.encode_prompt(images, labels).adapted
    host = segmenter.host
    features = {level: maps.unflatten(0, (1, 2)) for level, maps in segmenter.features(images[0]).items()}
    context = host.encode(features, labels)
    before = host.adaptation_loss(features, labels, context).item()
    host.load_state_dict({**host.state_dict(), **adapted})
    assert 0 < host.adaptation_loss(features, labels, context).item() < share * before


class Recorder:
    """A host that tells what it was asked."""

    levels = ("c4",)

    def __init__(self) -> None:
        self.encoded: list[tuple[list[str], bool]] = []

    def encode(self, features: dict[str, Tensor], label: Tensor, text: Tensor | None) -> str:
        self.encoded.append((list(features), torch.is_grad_enabled()))
        assert text is not None
        return "context"

    def adaptation_loss(self, features: dict[str, Tensor], label: Tensor, context: str) -> Tensor:
        assert list(features) == ["c4"]
        assert context == "context"
        return label.sum()


def test_the_support_is_encoded_once_without_gradient() -> None:
    host = Recorder()
    maps = torch.zeros(1, 1, 2, 4, 4)
    support = SupportSet({"c3": maps, "c4": maps, "image": maps}, torch.ones(1, 1, 1, 2, 2), torch.zeros(1, 1, 3))
    loss = matched(2).loss_of_step(SimpleNamespace(host=host), support)
    assert [loss(host, step).item() for step in range(2)] == [4, 4]
    assert host.encoded == [(["c4"], False)]


def test_a_host_without_a_loss_of_its_own(make_segmenter: Any, episode: Any) -> None:
    _, images, labels = episode
    segmenter = make_segmenter(lambda channels: IFA(channels, levels=("c3", "c4"), neck_channels=24), matched(1))
    with pytest.raises(NotImplementedError, match="host IFA has no fine-tuning of its own"):
        segmenter.encode_prompt(images, labels)
    assert not SelfMatching.needs_images
