# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""How good is the result? An answer without ground truth, per label and per slice.

A pixel's logit says how likely it is wrong. Summed over a slice this gives the expected number of wrong pixels and the
expected Dice,

    p = sigmoid(logit);  E[hits] = sum p inside;  E[Dice] = 2 E[hits] / (area inside + sum p).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .annotations import SliceAnnotation
from .parameters import PropagationParameters
from .pipeline import Propagated
from .result import SliceReport
from .slice_features import SliceStack

__all__ = ["SelfCheck", "check_result"]


@dataclass
class SelfCheck:
    """Estimates of quality.

    Attributes:
        predicted_dice: by label.
        confidence: by (slice, label).
    """

    predicted_dice: dict[int, float]
    confidence: dict[tuple[int, int], float]

    def reports(self, labels: NDArray) -> list[SliceReport]:
        """A report per label and slice of a label volume (Z, H, W), ordered by slice."""
        return [
            SliceReport(index, label, int((labels[index] == label).sum()), confidence)
            for (index, label), confidence in sorted(self.confidence.items())
        ]


def check_result(
    stack: SliceStack,
    propagated: Propagated,
    annotations: Mapping[int, SliceAnnotation],
    parameters: PropagationParameters,
) -> SelfCheck:
    """Estimate the quality of a result."""
    confidence: dict[tuple[int, int], float] = {}
    dice: dict[int, float] = {}
    for label in sorted(propagated.travelled):
        hits = areas = chances = 0.0
        for index in range(len(stack)):
            mask = propagated.labels[index] == label
            logit = propagated.logits[index].get(label)
            area = float(mask.sum())
            annotation = annotations.get(index)
            if annotation is not None and (annotation.label == label).any():
                confidence[index, label] = 1.0
                continue
            if logit is None:
                confidence[index, label] = 1.0
                continue
            chance = 1 / (1 + np.exp(-logit))
            inside, total = float(chance[mask].sum()), float(chance.sum())
            hits, areas, chances = hits + inside, areas + area, chances + total
            confidence[index, label] = 2 * inside / max(1.0, area + total)
        dice[label] = 2 * hits / max(1.0, areas + chances)
    return SelfCheck(dice, confidence)
