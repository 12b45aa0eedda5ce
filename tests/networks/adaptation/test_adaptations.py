# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Every adaptation on the host of its paper: the support fits better, the host stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from scripts.losses import EpisodeLoss
from scripts.networks.adaptation import Adaptation, AugmentedSupport, SelfMatching
from scripts.networks.hosts import IFA, DMTNet, Matching, PATNet

BLOCKS = ("c3.0", "c3", "c4.0", "c4", "c5.0", "c5")


def ifa(channels: dict[str, int]) -> IFA:
    return IFA(channels, levels=("c3", "c4"), neck_channels=24)


def patnet(channels: dict[str, int]) -> PATNet:
    return PATNet({level: width for level, width in channels.items() if level in ("c3", "c4", "c5")})


def dmtnet(channels: dict[str, int]) -> DMTNet:
    return DMTNet({level: width for level, width in channels.items() if level in ("c3", "c4", "c5")})


def augmented(steps: int) -> AugmentedSupport:
    return AugmentedSupport(partial(torch.optim.SGD, lr=0.01, momentum=0.9), EpisodeLoss(), steps=steps)


def matched(steps: int) -> SelfMatching:
    return SelfMatching(partial(torch.optim.Adam, lr=0.02), steps=steps)


CASES = [
    pytest.param(ifa, augmented, {"neck.mix.weight", "neck.mix.bias"}, id="ifa"),
    pytest.param(patnet, matched, {f"anchors.{i}.weight" for i in range(3)}, id="patnet"),
    pytest.param(dmtnet, matched, {f"head.mix_{s}.2.norm.weight" for s in ("middle", "finest")}, id="dmtnet"),
]


@pytest.mark.parametrize(("make_host", "make_adaptation", "tuned"), CASES)
def test_the_support_alone_tunes_the_host(
    make_segmenter: Any, episode: Any, make_host: Any, make_adaptation: Callable[[int], Adaptation], tuned: set[str]
) -> None:
    query, images, labels = episode
    plain = make_segmenter(make_host)
    segmenter = make_segmenter(make_host, make_adaptation(4))
    before = {name: value.clone() for name, value in segmenter.state_dict().items()}
    random_state = torch.get_rng_state()
    with torch.no_grad():
        prompt = segmenter.encode_prompt(images, labels)
        answer = segmenter.segment(query, prompt)
        again = segmenter.segment(query, segmenter.encode_prompt(images, labels))
        other = plain.segment(query, plain.encode_prompt(images, labels))

    assert set(prompt.adapted) == tuned
    for name, value in prompt.adapted.items():
        assert not torch.equal(value, before[f"host.{name}"])
        assert not value.requires_grad
    assert not torch.allclose(answer, other, atol=1e-5)
    # Nothing is left behind: state, gradients, mode and random numbers are as before, and the next episode sees that.
    assert all(torch.equal(value, before[name]) for name, value in segmenter.state_dict().items())
    assert all(parameter.grad is None for parameter in segmenter.parameters())
    assert not segmenter.host.training
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(answer, again)


@pytest.mark.parametrize(("make_host", "make_adaptation", "tuned"), CASES)
def test_off_by_its_steps(
    make_segmenter: Any, episode: Any, make_host: Any, make_adaptation: Callable[[int], Adaptation], tuned: set[str]
) -> None:
    query, images, labels = episode
    plain, segmenter = make_segmenter(make_host), make_segmenter(make_host, make_adaptation(0))
    with torch.no_grad():
        expected = plain.segment(query, plain.encode_prompt(images, labels))
        torch.testing.assert_close(segmenter.segment(query, segmenter.encode_prompt(images, labels)), expected)


def test_prompts_keep_their_own_values(make_segmenter: Any, episode: Any) -> None:
    """A second prompt leaves the first as it was; both serve batches."""
    query, images, labels = episode
    segmenter = make_segmenter(ifa, augmented(3))
    with torch.no_grad():
        first = segmenter.encode_prompt(images, labels)
        expected = segmenter.segment(query, first)
        segmenter.encode_prompt(images.flip(1), labels.flip(3))
        torch.testing.assert_close(
            segmenter.segment(query.expand(2, -1, -1, -1), first), expected.expand(2, -1, -1, -1)
        )


def test_ifa_goes_three_rounds(make_segmenter: Any, episode: Any) -> None:
    _, images, labels = episode
    segmenter = make_segmenter(ifa)
    features = {level: maps.unflatten(0, (1, 2)) for level, maps in segmenter.features(images[0]).items()}
    query = {level: maps[:, 0] for level, maps in features.items()}
    context = segmenter.host.encode(features, labels)
    terms = segmenter.host.adaptation_terms(query, features, labels, labels[:, 0], context)
    assert [term.weight for term in terms] == [1.0, 1.0, 1.0, 0.2, 0.4, 0.1, 0.1, 0.1, 0.1]
    assert len(segmenter.host.training_terms(query, features, labels, labels[:, 0], context)) == 5


def test_not_in_training_nor_in_forward(make_segmenter: Any, episode: Any) -> None:
    query, images, labels = episode
    plain, segmenter = make_segmenter(ifa), make_segmenter(ifa, augmented(3))
    torch.testing.assert_close(segmenter(query, images, labels), plain(query, images, labels))
    assert segmenter.train().encode_prompt(images, labels).adapted is None


def test_features_without_their_images_cannot_be_altered(make_segmenter: Any, episode: Any) -> None:
    _, images, labels = episode
    segmenter = make_segmenter(ifa, augmented(1))
    features = {
        level: maps.unflatten(0, (1, 2)) for level, maps in segmenter.features(images[0]).items() if level != "image"
    }
    with pytest.raises(ValueError, match="alters the support images"):
        segmenter.encode_prompt(features, labels)


def test_a_host_without_parameters_to_tune(make_segmenter: Any, episode: Any) -> None:
    _, images, labels = episode
    with pytest.raises(ValueError, match="host Matching has no parameters to adapt"):
        make_segmenter(Matching, augmented(1)).encode_prompt(images, labels)
