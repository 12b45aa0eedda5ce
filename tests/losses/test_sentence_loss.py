# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Dice and cross-entropy on logits: values by hand, ignored pixels, auxiliary terms."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from scripts.losses import SentenceLoss
from scripts.networks.hosts.base import TrainingTerm
from scripts.networks.language.base import AuxiliaryTerm, binary_logits


def test_by_hand() -> None:
    logits, target = torch.randn(2, 1, 5, 6), (torch.rand(2, 1, 5, 6) > 0.6).float()
    probability = logits.sigmoid()
    dice = 1 - (2 * (probability * target).sum((1, 2, 3)) + 1e-5) / ((probability + target).sum((1, 2, 3)) + 1e-5)
    expected = 1.5 * dice.mean() + 0.3 * F.binary_cross_entropy_with_logits(logits, target)
    torch.testing.assert_close(SentenceLoss(1.5, 0.3)(binary_logits(logits), target), expected)


def test_ignored_pixels_count_nowhere() -> None:
    logits, target = torch.randn(1, 1, 4, 4), torch.tensor([0.0, 1.0, 255.0, 1.0]).expand(1, 1, 4, 4)
    kept = [0, 1, 3]
    loss = SentenceLoss()
    torch.testing.assert_close(
        loss(binary_logits(logits), target), loss(binary_logits(logits[..., kept]), target[..., kept])
    )


def test_terms() -> None:
    target = torch.ones(1, 1, 2, 2)
    term = TrainingTerm(binary_logits(torch.zeros(1, 1, 2, 2)), target, 2.0)
    loss = SentenceLoss()
    plain = loss(term.logits, target)
    auxiliary = AuxiliaryTerm(torch.tensor(3.0), 0.1)
    torch.testing.assert_close(loss([term, auxiliary], target), 2 * plain + 0.3)


def test_weight_of_the_background() -> None:
    logits, target = torch.randn(1, 1, 4, 4), (torch.rand(1, 1, 4, 4) > 0.5).float()
    weight = torch.where(target == 1, 1.1, 0.9)
    expected = (F.binary_cross_entropy_with_logits(logits, target, reduction="none") * weight).sum() / weight.sum()
    torch.testing.assert_close(SentenceLoss(0, 1, 0.9 / 1.1)(binary_logits(logits), target), expected)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="not both zero"):
        SentenceLoss(0, 0)
    with pytest.raises(ValueError, match="no training term"):
        SentenceLoss()([], torch.zeros(1))
    with pytest.raises(ValueError, match=r"\(1, 2, 4, 4\) must be"):
        SentenceLoss()(torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 8, 8))
