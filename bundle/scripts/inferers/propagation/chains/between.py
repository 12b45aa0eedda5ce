# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Slices between two key slices: evidence from both neighbours, weighted by the inverse distance."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..evidence.annotations import SliceAnnotation, exemplars_of
from ..evidence.label_rules import LabelRules
from ..evidence.slice_features import SliceStack
from ..evidence.unary import Exemplar
from ..memory.memo import Memo
from ..parameters import EvidenceParameters
from .logit_summary import LogitSummary
from .output import compete
from .wavefront import recall_logit, tidy

__all__ = ["fill_between"]


def fill_between(
    stack: SliceStack,
    key_labels: NDArray[np.int32],
    key_slices: Sequence[int],
    annotations: Mapping[int, SliceAnnotation],
    rules: Mapping[int, LabelRules],
    evidence: EvidenceParameters,
    *,
    bias: float,
    clip: float,
    summary: LogitSummary,
    memo: Memo | None = None,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.int32]:
    """Label the slices between key slices.

    Args:
        stack: all slices of the volume.
        key_labels: (K, h, w), labels of the key slices.
        key_slices: their K indices in the stack.
        annotations: by slice of the stack, on the working grid.
        rules: by label.
        evidence: what speaks for a label.
        bias: added to the logits.
        clip: largest absolute logit from one neighbour.
        summary: takes in the logits.
        memo: remembers the evidence of earlier runs.
        progress: called with the number of slices done.

    Returns:
        labels (Z, h, w).
    """
    memo = memo or Memo()
    labels = np.zeros((len(stack), *stack.shape), np.int32)
    labels[list(key_slices)] = key_labels
    exemplars = {label: exemplars_of(label, annotations) for label in rules}
    done = 0
    for position, (lower, upper) in enumerate(itertools.pairwise(key_slices)):
        for index in range(lower + 1, upper):
            masks, logits = {}, {}
            for label, annotated in exemplars.items():
                nearest = min(annotated, key=lambda exemplar: abs(exemplar.index - index))
                parts, weights = [], []
                for key, key_label in ((lower, key_labels[position]), (upper, key_labels[position + 1])):
                    mask = key_label == label
                    if mask.sum() < max(1, rules[label].smallest_area):
                        continue
                    logit, window = recall_logit(
                        memo, stack, index, Exemplar(key, mask), nearest, rules[label], evidence
                    )
                    parts.append(np.where(window, np.clip(logit + bias, -clip, clip), -clip))
                    weights.append(1 / abs(index - key))
                if parts:
                    mean = np.average(parts, axis=0, weights=weights).astype(np.float32)
                    logits[label] = mean
                    masks[label] = tidy(mean > 0, rules[label])
            labels[index] = compete(logits, masks, stack.shape)
            summary.add(index, logits)
            done += 1
            if progress is not None:
                progress(done)
    return labels
