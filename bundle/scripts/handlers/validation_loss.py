# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The loss of a validation, beside its metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from ignite.metrics import Loss
from monai.utils import CommonKeys
from torch import Tensor

__all__ = ["ValidationLoss"]


class ValidationLoss(Loss):
    """Mean of the batches' losses, by their number of queries.

    Args:
        loss: ``loss(logits (B, 2, H, W), label (B, 1, H, W))`` -> scalar.
    """

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__(loss, output_transform=_stack)


def _stack(output: Sequence[Mapping[str, Any]]) -> tuple[Tensor, Tensor]:
    """Queries of a batch, which MONAI hands over one by one."""
    return torch.stack([item[CommonKeys.PRED].float() for item in output]), torch.stack(
        [item[CommonKeys.LABEL] for item in output]
    )
