# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import math

import pytest
import torch

from scripts.losses import EpisodeLoss
from scripts.losses.episode_loss import ignoring_dice
from scripts.networks.hosts.base import TrainingTerm

CERTAIN = torch.tensor([[[[0.0]], [[math.log(3.0)]]]])
"""One pixel, foreground with probability 3/4."""


@pytest.mark.parametrize(
    ("target", "expected"),
    [([1.0], math.log(4 / 3)), ([0.0], math.log(4.0)), ([255.0], 0.0)],
)
def test_cross_entropy(target: list[float], expected: float) -> None:
    loss = EpisodeLoss()(CERTAIN, torch.tensor(target).view(1, 1, 1, 1))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_ignored_pixels_do_not_enter_the_mean() -> None:
    logits = CERTAIN.expand(1, 2, 1, 4)
    target = torch.tensor([1.0, 255.0, 0.0, 255.0]).view(1, 1, 1, 4)
    assert EpisodeLoss()(logits, target).item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


def test_terms_are_weighted_and_bring_their_targets() -> None:
    foreground, background = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    terms = [TrainingTerm(CERTAIN, foreground, 1.0), TrainingTerm(CERTAIN, background, 0.4)]
    loss = EpisodeLoss()(terms, torch.full((1, 1, 1, 1), 255.0))
    assert loss.item() == pytest.approx(math.log(4 / 3) + 0.4 * math.log(4))


def test_background_pixels_can_weigh_less() -> None:
    logits = CERTAIN.expand(1, 2, 1, 3)
    target = torch.tensor([1.0, 0.0, 255.0]).view(1, 1, 1, 3)
    loss = EpisodeLoss()([TrainingTerm(logits, target, 2.0, 0.1)], target)
    assert loss.item() == pytest.approx(2 * (math.log(4 / 3) + 0.1 * math.log(4)) / 1.1)
    nothing = torch.full_like(target, 255.0)
    assert EpisodeLoss()([TrainingTerm(logits, nothing, 1.0, 0.1)], nothing).item() == 0


@pytest.mark.parametrize(
    ("target", "expected"),
    [([1.0], 1 - (2 * 0.75 + 1) / (1.75 + 1)), ([0.0], 1 - 1 / 1.75), ([255.0], 0.0)],
)
def test_dice(target: list[float], expected: float) -> None:
    found = ignoring_dice(CERTAIN, torch.tensor(target).view(1, 1, 1, 1))
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_dice_of_a_large_image_in_half_precision() -> None:
    logits = torch.zeros(1, 2, 400, 400)
    logits[:, 1] = 20.0
    target = torch.ones(1, 1, 400, 400)
    assert ignoring_dice(logits.half(), target).item() == pytest.approx(ignoring_dice(logits, target).item(), abs=1e-3)


def test_dice_is_added() -> None:
    target = torch.ones(1, 1, 1, 1)
    plain, both = EpisodeLoss()(CERTAIN, target), EpisodeLoss(dice_weight=2.0)(CERTAIN, target)
    assert (both - plain).item() == pytest.approx(2 * ignoring_dice(CERTAIN, target).item())


@pytest.mark.parametrize("dice_weight", [0.0, 1.0])
def test_all_ignored_has_no_gradient(dice_weight: float) -> None:
    logits = torch.randn(2, 2, 4, 4, requires_grad=True)
    loss = EpisodeLoss(dice_weight)(logits, torch.full((2, 1, 4, 4), 255.0))
    loss.backward()
    assert loss == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"logits \(1, 2, 4, 4\) must be .* and target \(1, 1, 5, 4\)"):
        EpisodeLoss()(torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 5, 4))
    with pytest.raises(ValueError, match="no training term"):
        EpisodeLoss()([], torch.zeros(1, 1, 1, 1))
    with pytest.raises(ValueError, match="dice_weight must not be negative, got -1"):
        EpisodeLoss(-1)
