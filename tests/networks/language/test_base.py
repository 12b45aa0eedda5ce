# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What networks for words share: the size of logits, what trains, and how a feature cache tells encoders apart."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scripts.networks.language.base import LanguageNetwork, Normalise, binary_logits, fingerprint_of


class Small(LanguageNetwork):
    """The mean of an image's channels times a weight, wherever a sentence is."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.name, self.levels, self.text_dim = "small", ("map",), 4
        self.encoder = encoder

    def image_encoder(self) -> nn.Module:
        return self.encoder

    def encode_image(self, image: Tensor) -> dict[str, Tensor]:
        return {"map": self.encoder(image)}

    def decode(self, features: dict[str, Tensor], context: Tensor) -> Tensor:
        return features["map"].mean(1, keepdim=True) * context[:, None, None, None]


def test_normalise_by_hand() -> None:
    normalise = Normalise((0.5, 0.25, 0.0), (0.5, 0.25, 2.0))
    image = torch.tensor([1.0, 0.5, 1.0]).view(1, 3, 1, 1).expand(2, 3, 2, 2)
    torch.testing.assert_close(normalise(image)[1, :, 1, 0], torch.tensor([1.0, 1.0, 0.5]))
    assert not normalise.state_dict()


def test_two_logits_are_one() -> None:
    logit = torch.randn(2, 1, 3, 4)
    both = binary_logits(logit)
    assert both.shape == (2, 2, 3, 4)
    torch.testing.assert_close(both.softmax(1)[:, 1:], logit.sigmoid())


@pytest.mark.parametrize(("mode", "corners"), [("bilinear", False), ("bilinear", True), ("bicubic", True)])
def test_logits_are_resized_by_the_networks_rule(mode: str, corners: bool) -> None:
    network = Small(nn.Identity())
    network.resize_mode, network.align_corners = mode, corners
    logits = torch.randn(1, 1, 3, 4)
    expected = F.interpolate(logits, (7, 9), mode=mode, align_corners=corners)
    assert torch.equal(network.upsample(logits, (7, 9)), expected)
    assert network.upsample(logits, (3, 4)) is logits
    assert network.upsample(logits.half(), (7, 9)).dtype == torch.float32


def test_the_training_compares_at_the_labels_size() -> None:
    network = Small(nn.Identity())
    features, context, label = (
        network.encode_image(torch.rand(2, 3, 4, 4)),
        torch.tensor([1.0, -1.0]),
        torch.zeros(2, 1, 8, 6),
    )
    (term,) = network.training_terms(features, context, label)
    assert term[1] is label
    assert term[2] == 1.0
    torch.testing.assert_close(term[0], binary_logits(network.upsample(network.decode(features, context), (8, 6))))


def test_a_frozen_encoder_stays_in_evaluation() -> None:
    network = Small(nn.BatchNorm2d(3))
    assert network.train().encoder.training
    network.encoder.requires_grad_(False)
    assert not network.train().encoder.training
    assert network.training
    assert not network.eval().training


def test_fingerprints_tell_weights_statistics_and_names_apart() -> None:
    module = nn.BatchNorm2d(3)
    before = fingerprint_of("a", module)
    assert before == fingerprint_of("a", nn.BatchNorm2d(3))
    assert before != fingerprint_of("b", module)
    module.running_mean.add_(1)
    moved = fingerprint_of("a", module)
    assert moved != before
    with torch.no_grad():
        module.weight.add_(1)
    assert fingerprint_of("a", module) not in (before, moved)
    # the preprocessing isn't saved, and counts
    assert fingerprint_of("a", Normalise((0, 0, 0), (1, 1, 1))) != fingerprint_of("a", Normalise((0, 0, 0), (1, 1, 2)))
    network = Small(nn.BatchNorm2d(3))
    first = network.fingerprint()
    network.levels = ("other",)
    assert network.fingerprint() != first


@pytest.mark.parametrize(
    ("method", "count"),
    [("encode_image", 1), ("encode_text", 2), ("encode_examples", 4), ("decode", 2), ("image_encoder", 0)],
)
def test_what_a_subclass_must_define(method: str, count: int) -> None:
    with pytest.raises(NotImplementedError, match=rf"LanguageNetwork\.{method}"):
        getattr(LanguageNetwork(), method)(*[torch.zeros(1)] * count)
