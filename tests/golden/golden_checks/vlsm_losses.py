# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Losses of the vision-language networks as intended and as released, and their metrics with empty masks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from golden_checks.case import Case
from scripts.losses.episode_loss import ignoring_cross_entropy, ignoring_dice
from scripts.losses.sentence_loss import SentenceLoss
from scripts.metrics.segmentation import CaseRow, count_overlap
from scripts.networks.language.base import binary_logits

MEDVLSM = SentenceLoss(dice_weight=1.0, cross_entropy_weight=0.2)
ADAPTER = SentenceLoss(dice_weight=1.5, cross_entropy_weight=1.0)


def check_losses(case: Case) -> None:
    logits, target = case.take("logits").requires_grad_(), case.take("target")
    both = binary_logits(logits)
    dice = ignoring_dice(both, target, smooth=1e-5)
    doubled = F.binary_cross_entropy_with_logits(logits.sigmoid(), target)
    ours = {
        "dice_on_sigmoid": dice,
        "bce_correct": ignoring_cross_entropy(both, target),
        "intended_medvlsm_total": MEDVLSM(both, target),
        "intended_adapter_total": ADAPTER(both, target),
        # what the released code computes on probabilities of one channel
        "ce_single_channel_monai_1_1_0": F.cross_entropy(logits.sigmoid(), target),
        "bce_double_sigmoid_monai_1_3": doubled,
        "medvlsm_effective_total": 1.0 * dice + 0.2 * F.cross_entropy(logits.sigmoid(), target),
        "adapter_effective_total": 1.5 * dice + 1.0 * doubled,
    }
    case.compare(ours, tolerance=1e-5)
    gradients = {
        "grad_medvlsm_intended": torch.autograd.grad(ours["intended_medvlsm_total"], logits, retain_graph=True)[0],
        "grad_medvlsm_effective": torch.autograd.grad(ours["medvlsm_effective_total"], logits)[0],
    }
    case.compare(gradients, tolerance=1e-3)

    rows = [_row(one > 0, truth) for one, truth in zip(logits, target, strict=True)]
    nothing, something = torch.zeros(1, 4, 4), torch.ones(1, 4, 4)
    metrics = {
        "dice_metric": torch.tensor([row.dice for row in rows]),
        "iou_metric": torch.tensor([row.iou for row in rows]),
        "dice_metric_empty_empty": torch.tensor(_row(nothing > 0, nothing).dice),
        "dice_metric_pred_only": torch.tensor(_row(something > 0, nothing).dice),
    }
    case.compare(metrics, tolerance=1e-5)
    case.assert_all_checked()


def _row(pred: Tensor, truth: Tensor) -> CaseRow:
    return CaseRow("class", "case", count_overlap(pred, truth.to(torch.uint8)))
