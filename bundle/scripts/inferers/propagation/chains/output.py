# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From what travelled to the labels of the key slices: generous bias, ridge, competition, connected components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ..evidence.annotations import SliceAnnotation, impose
from ..evidence.global_ridge import fit_ridges, predict_ridge, ridge_key
from ..evidence.label_rules import LabelRules
from ..evidence.matching import upsample
from ..evidence.slice_features import SliceStack
from ..memory.memo import Memo
from ..parameters import OutputParameters, RidgeParameters
from .logit_summary import LogitSummary
from .wavefront import OUTSIDE, TravelledLabel, tidy

__all__ = ["compete", "keep_annotated_components", "output_labels", "travelled_labels"]


def travelled_labels(
    travelled: Mapping[int, TravelledLabel],
    annotations: Mapping[int, SliceAnnotation],
    shape: tuple[int, int, int],
    annotation_complete: str,
) -> NDArray[np.int32]:
    """Label volume (Z, h, w) of the cautious masks; the surest label wins a pixel."""
    labels = np.zeros(shape, np.int32)
    for index in range(shape[0]):
        logits = {
            label: np.where(reached.masks[index], reached.logits[index], OUTSIDE)
            for label, reached in travelled.items()
            if index in reached.masks
        }
        masks = {label: travelled[label].masks[index] for label in logits}
        labels[index] = compete(logits, masks, shape[1:])
    impose(labels, annotations, annotation_complete, tuple(travelled))
    return labels


def output_labels(
    stack: SliceStack,
    travelled: Mapping[int, TravelledLabel],
    annotations: Mapping[int, SliceAnnotation],
    rules: Mapping[int, LabelRules],
    parameters: OutputParameters,
    ridge: RidgeParameters,
    *,
    summary: LogitSummary,
    slices: Sequence[int],
    annotation_complete: str = "own",
    memo: Memo | None = None,
) -> NDArray[np.int32]:
    """Labels (Z, h, w) of every slice.

    Args:
        stack: the slices.
        travelled: by label, what the chains found.
        annotations: by slice, on the working grid.
        rules: by label.
        parameters: how the output is made.
        ridge: the ridge over the volume.
        summary: takes in the logits.
        slices: what a slice of the stack is called in the summary.
        annotation_complete: what an unlabelled pixel of an annotated slice means.
        memo: remembers the ridge of earlier runs.
    """
    memo = memo or Memo()
    shape = (len(stack), *stack.shape)
    labels = travelled_labels(travelled, annotations, shape, annotation_complete)
    coefficients = _ridges(stack, labels, annotations, tuple(travelled), ridge, memo)
    bias = parameters.output_bias if ridge.use_ridge else parameters.output_bias_without_ridge
    clip = parameters.output_clip
    for index in range(len(stack)):
        present = [
            label
            for label, reached in travelled.items()
            if index in reached.logits and (reached.logits[index] > -clip).any()
        ]
        predicted = predict_ridge(
            stack, index, {label: coefficients[label] for label in present if label in coefficients}, ridge.ridge_levels
        )
        logits = {}
        for label in present:
            logit = np.clip(travelled[label].logits[index], -clip, clip) + bias
            if label in predicted:
                logit = logit + rules[label].ridge_weight * upsample(predicted[label], stack.shape)
            logits[label] = logit.astype(np.float32)
        masks = {label: logit > 0 for label, logit in logits.items()}
        labels[index] = compete(logits, masks, stack.shape)
        _tidy_slice(labels[index], rules)
        summary.add(slices[index], logits)
    for label, reached in travelled.items():
        for index, refused in reached.refused.items():
            summary.refuse(slices[index], label, float(np.clip(refused, -clip, clip)) + bias)
    impose(labels, annotations, annotation_complete, tuple(travelled))
    if parameters.use_component:
        keep_annotated_components(labels, annotations, tuple(travelled))
    return labels


def compete(
    logits: Mapping[int, NDArray[np.float32]], masks: Mapping[int, NDArray[np.bool_]], shape: tuple[int, int]
) -> NDArray[np.int32]:
    """Labels (h, w): the label with the largest logit, where its mask holds too."""
    best = np.full(shape, -np.inf, np.float32)
    winner = np.zeros(shape, np.int32)
    for label in sorted(logits):
        wins = logits[label] > best
        best = np.where(wins, logits[label], best)
        winner = np.where(wins, np.where(masks[label], label, 0), winner)
    return winner


def keep_annotated_components(
    labels: NDArray[np.int32], annotations: Mapping[int, SliceAnnotation], values: tuple[int, ...]
) -> None:
    """Drop 3-D components (26 neighbours) that touch no annotation of their label, in place."""
    for value in values:
        parts, count = ndimage.label(labels == value, np.ones((3, 3, 3)))
        if count < 2:
            continue
        touched = [parts[index][annotation.label == value] for index, annotation in annotations.items()]
        is_kept = np.zeros(count + 1, bool)
        is_kept[np.concatenate(touched)] = True
        labels[(parts > 0) & ~is_kept[parts]] = 0


def _ridges(
    stack: SliceStack,
    labels: NDArray[np.int32],
    annotations: Mapping[int, SliceAnnotation],
    values: tuple[int, ...],
    parameters: RidgeParameters,
    memo: Memo,
) -> dict[int, Tensor]:
    """Coefficients by label; a label that can't be told apart has none."""
    if not parameters.use_ridge:
        return {}
    annotated = {
        label: sorted(index for index, annotation in annotations.items() if (annotation.label == label).any())
        for label in values
    }
    fitted = memo.recall_all(
        {label: (*ridge_key(labels, label, annotated[label]), label, stack.key) for label in values},
        lambda missing: fit_ridges(stack, labels, {label: annotated[label] for label in missing}, parameters, memo),
    )
    return {label: coefficients for label, coefficients in fitted.items() if coefficients is not None}


def _tidy_slice(labels: NDArray[np.int32], rules: Mapping[int, LabelRules]) -> None:
    """Fill holes and drop islands of every label of a slice (h, w), in place; holes don't cover other labels."""
    for label in sorted(rules):
        mask = labels == label
        if not mask.any():
            continue
        kept = tidy(mask, rules[label])
        labels[mask & ~kept] = 0
        labels[kept & (labels == 0)] = label
