# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From what travelled to the labels of the key slices: generous bias, ridge, competition, connected components."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ..evidence.annotations import SliceAnnotation, impose
from ..evidence.global_ridge import fit_ridge, predict_ridge, ridge_key
from ..evidence.label_rules import LabelRules
from ..evidence.matching import upsample
from ..evidence.slice_features import SliceStack
from ..memory.memo import Memo
from ..parameters import PropagationParameters
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
    parameters: PropagationParameters,
    *,
    annotation_complete: str = "own",
    memo: Memo | None = None,
) -> tuple[NDArray[np.int32], list[dict[int, NDArray[np.float32]]]]:
    """Labels (Z, h, w) of every slice, and the logits that they come from.

    Args:
        stack: the slices.
        travelled: by label, what the chains found.
        annotations: by slice, on the working grid.
        rules: by label.
        parameters: everything else.
        annotation_complete: what an unlabelled pixel of an annotated slice means.
        memo: remembers the ridge of earlier runs.

    Returns:
        labels (Z, h, w), and for every slice ``{label: logit (h, w)}``.
    """
    memo = memo or Memo()
    shape = (len(stack), *stack.shape)
    labels = travelled_labels(travelled, annotations, shape, annotation_complete)
    coefficients = _ridges(stack, labels, annotations, tuple(travelled), parameters, memo)
    bias = parameters.output_bias if parameters.use_ridge else parameters.output_bias_without_ridge
    clip = parameters.output_clip
    all_logits: list[dict[int, NDArray[np.float32]]] = []
    for index in range(len(stack)):
        present = [
            label
            for label, reached in travelled.items()
            if index in reached.logits and (reached.logits[index] > -clip).any()
        ]
        ridge = predict_ridge(
            stack, index, {label: coefficients[label] for label in present if label in coefficients}, parameters
        )
        logits = {}
        for label in present:
            logit = np.clip(travelled[label].logits[index], -clip, clip) + bias
            if label in ridge:
                logit = logit + rules[label].ridge_weight * upsample(ridge[label], stack.shape)
            logits[label] = logit.astype(np.float32)
        masks = {label: logit > 0 for label, logit in logits.items()}
        labels[index] = compete(logits, masks, stack.shape)
        _tidy_slice(labels[index], rules, parameters)
        all_logits.append(logits)
    impose(labels, annotations, annotation_complete, tuple(travelled))
    if parameters.use_component:
        keep_annotated_components(labels, annotations, tuple(travelled))
    return labels, all_logits


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
    parameters: PropagationParameters,
    memo: Memo,
) -> dict[int, Tensor]:
    if not parameters.use_ridge:
        return {}
    coefficients = {}
    for label in values:
        annotated = [index for index, annotation in annotations.items() if (annotation.label == label).any()]
        masks = {index: labels[index] == label for index in range(len(labels)) if (labels[index] == label).any()}
        fitted = memo.recall(
            (*ridge_key(masks, sorted(annotated)), stack.key),
            partial(fit_ridge, stack, masks, annotated, parameters, memo),
        )
        if fitted is not None:
            coefficients[label] = fitted
    return coefficients


def _tidy_slice(labels: NDArray[np.int32], rules: Mapping[int, LabelRules], parameters: PropagationParameters) -> None:
    """Fill holes and drop islands of every label of a slice (h, w), in place; holes don't cover other labels."""
    for label in sorted(rules):
        mask = labels == label
        if not mask.any():
            continue
        kept = tidy(mask, rules[label], parameters, fill_all=True)
        labels[mask & ~kept] = 0
        labels[kept & (labels == 0)] = label
