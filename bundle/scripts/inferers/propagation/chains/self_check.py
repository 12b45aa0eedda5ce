# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""How good is the result? An answer without ground truth, per slice and per label.

Slices: the masks that travelled are cautious, the output is generous. Where the two differ the result hangs on the
bias; the number of such pixels, times 1 + 0.05 x steps from the annotated slice, orders slices by their errors. Where a
label is absent, the logit with which it lost counts, too (``absence``).

Labels: chains are walked back, from a slice of the result towards the annotated one. Where the masks that come back
differ from those that went out, one of them is wrong,

    score = mean Dice(back, out) - 0.3 * (pixels in doubt) / (pixels of outline).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evidence.annotations import SliceAnnotation, exemplars_of, forbidden_pixels
from ..evidence.label_rules import LabelRules
from ..evidence.slice_features import SliceStack
from ..evidence.unary import Exemplar
from ..geometry.morphology import dilate
from ..memory.memo import Memo
from ..parameters import EvidenceParameters, MaskParameters, PropagationParameters
from ..pipeline import Propagated
from ..result import SliceReport
from .absence import confidence_of_absence
from .wavefront import recall_logit, tidy

__all__ = ["SelfCheck", "check_result", "walk_back"]

Mask = NDArray[np.bool_]

WAY_BACK = 0.7  # the walk starts at this share of the way to the label's end
DOUBT_WEIGHT = 0.3
STEP_WEIGHT = 0.05  # errors add up on the way: doubt counts more per step of the chain
CONFIDENCE_SCALE = 1 / 128  # share of the slice in doubt at which confidence is one half
# Dice = intercept + slope * score, fitted once on sample volumes of CHAOS MR, axial and coronal.
DICE_INTERCEPT, DICE_SLOPE = 0.85, 0.18


@dataclass
class SelfCheck:
    """Estimates of quality.

    Attributes:
        predicted_dice: by label.
        confidence: by (slice, label).
        annotated: the (slice, label) that an annotation decides: where the label was marked, or is known not to be.
    """

    predicted_dice: dict[int, float]
    confidence: dict[tuple[int, int], float]
    annotated: frozenset[tuple[int, int]] = frozenset()

    def reports(self, labels: NDArray[Any]) -> list[SliceReport]:
        """A report per label and slice of a label volume (Z, H, W), ordered by slice."""
        reports = []
        for (index, label), confidence in sorted(self.confidence.items()):
            area = int((labels[index] == label).sum())
            state = "annotated" if (index, label) in self.annotated else "predicted" if area else "absent"
            reports.append(SliceReport(index, label, area, confidence, state))
        return reports


def check_result(
    stack: SliceStack,
    propagated: Propagated,
    annotations: Mapping[int, SliceAnnotation],
    parameters: PropagationParameters,
    *,
    annotation_complete: str = "own",
    memo: Memo | None = None,
) -> SelfCheck:
    """Estimate the quality of a result.

    Args:
        stack: all slices.
        propagated: the result on the working grid.
        annotations: by slice, on the working grid.
        parameters: values and switches.
        annotation_complete: what an unlabelled pixel of an annotated slice means.
        memo: remembers the evidence of earlier runs.
    """
    memo = memo or Memo()
    confidence: dict[tuple[int, int], float] = {}
    decided: set[tuple[int, int]] = set()
    dice: dict[int, float] = {}
    steps_per_slice = len(propagated.key_slices) / len(stack)
    for label in sorted(propagated.travelled):
        annotated = [exemplar.index for exemplar in exemplars_of(label, annotations)]
        strongest = {index: value for (index, own), value in propagated.summary.strongest.items() if own == label}
        absent: list[int] = []
        doubts = outlines = 0
        for index in range(len(stack)):
            if _is_decided(label, annotations.get(index), annotation_complete):
                confidence[index, label] = 1.0
                decided.add((index, label))
                if index not in annotated:
                    absent.append(index)
                    strongest[index] = -np.inf
                continue
            mask = propagated.labels[index] == label
            if not mask.any():
                absent.append(index)
            doubt = _in_doubt(propagated, index, label, mask)
            doubts += doubt
            outlines += int((dilate(mask, 1) & ~mask).sum())
            steps = steps_per_slice * min(abs(index - other) for other in annotated)
            confidence[index, label] = 1 / (1 + doubt * (1 + STEP_WEIGHT * steps) / (CONFIDENCE_SCALE * mask.size))
        for index, sure in confidence_of_absence(absent, strongest, steps_per_slice=steps_per_slice).items():
            if (index, label) not in decided:
                confidence[index, label] = min(confidence[index, label], sure)
        agreement = 1.0
        if parameters.output.use_self_check:
            agreement = _agreement(stack, propagated, annotations, label, parameters.evidence, parameters.masks, memo)
        score = agreement - DOUBT_WEIGHT * doubts / max(1, outlines)
        dice[label] = float(np.clip(DICE_INTERCEPT + DICE_SLOPE * score, 0.0, 1.0))
    return SelfCheck(dice, confidence, frozenset(decided))


def walk_back(
    stack: SliceStack,
    labels: NDArray[np.int32],
    label: int,
    start: int,
    end: int,
    rules: LabelRules,
    evidence: EvidenceParameters,
    parameters: MaskParameters,
    memo: Memo,
) -> list[float]:
    """Carry a label from one slice of a result towards another; Dice with the result on every slice on the way.

    Args:
        stack: the slices.
        labels: (Z, h, w), the result.
        label: its value.
        start: slice that the walk starts from.
        end: slice where it ends.
        rules: of the label.
        evidence: what speaks for a label.
        parameters: how masks travel.
        memo: remembers evidence.
    """
    source = previous = Exemplar(start, labels[start] == label)
    direction = 1 if end > start else -1
    found: list[float] = []
    for index in range(start + direction, end + direction, direction):
        logit, window = recall_logit(memo, stack, index, previous, source, rules, evidence)
        is_free = (labels[index] == 0) | (labels[index] == label)
        mask = tidy((logit + parameters.bias > 0) & window & is_free, rules, parameters.largest_hole)
        truth = labels[index] == label
        found.append(2 * float((mask & truth).sum()) / max(1.0, float(mask.sum() + truth.sum())))
        if not mask.any():
            break
        previous = Exemplar(index, mask)
    return found


def _is_decided(label: int, annotation: SliceAnnotation | None, annotation_complete: str) -> bool:
    """Whether an annotated slice shows the label, or says of all its pixels that they haven't got it."""
    if annotation is None:
        return False
    if (annotation.label == label).any():
        return True
    denied = forbidden_pixels(label, annotation, annotation_complete)
    return denied is not None and bool(denied.all())


def _in_doubt(propagated: Propagated, index: int, label: int, mask: Mask) -> int:
    """Number of pixels on which cautious and generous mask differ; between key slices, where there is only one mask, of
    those whose logit is near 0.
    """
    position = propagated.positions.get(index)
    if position is None:
        return propagated.summary.doubtful.get((index, label), 0)
    travelled = propagated.travelled[label].get(position)
    return int((mask if travelled is None else mask ^ travelled).sum())


def _agreement(
    stack: SliceStack,
    propagated: Propagated,
    annotations: Mapping[int, SliceAnnotation],
    label: int,
    evidence: EvidenceParameters,
    masks: MaskParameters,
    memo: Memo,
) -> float:
    """Mean Dice of masks that go out from the annotated slices and masks that come back; 0.5 where none can."""
    keys = stack.subset(propagated.key_slices)
    labels = propagated.labels[list(propagated.key_slices)]
    annotated = [propagated.positions[exemplar.index] for exemplar in exemplars_of(label, annotations)]
    occupied = np.flatnonzero((labels == label).any(axis=(1, 2)))
    found: list[float] = []
    for nearest, outermost in ((annotated[0], int(occupied[0])), (annotated[-1], int(occupied[-1]))):
        start = nearest + int(np.sign(outermost - nearest)) * round(WAY_BACK * abs(outermost - nearest))
        if start != nearest and (labels[start] == label).any():
            rules = propagated.rules[label]
            found += walk_back(keys, labels, label, start, nearest, rules, evidence, masks, memo)
    return float(np.mean(found)) if found else 0.5
