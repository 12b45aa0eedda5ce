# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The steps of the propagation in their order: rules, chains over key slices, output, the slices in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .chains.between import fill_between
from .chains.output import output_labels, travelled_labels
from .chains.wavefront import TravelledLabel, propagate
from .evidence.annotations import SliceAnnotation, exemplars_of, impose, labels_of
from .evidence.calibration import calibrate
from .evidence.label_rules import LabelRules
from .evidence.slice_features import SliceStack
from .geometry.key_slices import choose_key_slices
from .memory.memo import Memo, digest
from .parameters import PropagationParameters

__all__ = ["Propagated", "segment_stack"]

Progress = Callable[[str, int, int], None]


@dataclass
class Propagated:
    """Result on the working grid.

    Attributes:
        labels: (Z, h, w).
        logits: for every slice ``{label: (h, w)}``; a label that no chain brought to a slice is missing there.
        key_slices: indices of the slices that chains went over.
        travelled: by label, masks and logits of the chains, by position among the key slices.
        rules: by label.
    """

    labels: NDArray[np.int32]
    logits: list[dict[int, NDArray[np.float32]]]
    key_slices: Sequence[int]
    travelled: dict[int, TravelledLabel]
    rules: dict[int, LabelRules]

    @property
    def positions(self) -> dict[int, int]:
        """Position among the key slices, by slice."""
        return {index: number for number, index in enumerate(self.key_slices)}


def segment_stack(
    stack: SliceStack,
    annotations: Mapping[int, SliceAnnotation],
    parameters: PropagationParameters,
    *,
    step: int = 1,
    annotation_complete: str = "own",
    memo: Memo | None = None,
    progress: Progress | None = None,
) -> Propagated:
    """Segment all slices from the annotated ones.

    Args:
        stack: the slices.
        annotations: by slice, on the working grid.
        parameters: values and switches.
        step: slices from one key slice to the next; 1 = every slice is one.
        annotation_complete: what an unlabelled pixel of an annotated slice means.
        memo: remembers earlier runs.
        progress: called with (stage, done, total).
    """
    memo = memo or Memo()
    labels = labels_of(annotations.values())
    if not parameters.use_key_slices:
        step = 1
    key_slices = choose_key_slices(len(stack), annotations, step)
    keys = stack.subset(key_slices)
    position = {index: number for number, index in enumerate(key_slices)}
    key_annotations = {position[index]: annotation for index, annotation in annotations.items()}
    rules = {label: _recall_rules(memo, keys, label, key_annotations, parameters) for label in labels}

    def on_step(done: int) -> None:
        if progress is not None:
            progress("propagate", done, max(done, len(keys) * len(labels)))

    travelled = propagate(
        keys,
        key_annotations,
        rules,
        parameters,
        annotation_complete=annotation_complete,
        memo=memo,
        progress=on_step,
    )
    if parameters.use_output_pass:
        key_labels, key_logits = output_labels(
            keys, travelled, key_annotations, rules, parameters, annotation_complete=annotation_complete, memo=memo
        )
    else:
        key_labels = travelled_labels(travelled, key_annotations, (len(keys), *stack.shape), annotation_complete)
        key_logits = [
            {label: reached.logits[number] for label, reached in travelled.items() if number in reached.logits}
            for number in range(len(keys))
        ]
    if len(key_slices) == len(stack):
        return Propagated(key_labels, key_logits, key_slices, travelled, rules)
    between = len(stack) - len(key_slices)
    result, logits = fill_between(
        stack,
        key_labels,
        key_slices,
        annotations,
        rules,
        parameters,
        memo=memo,
        progress=None if progress is None else lambda done: progress("between", done, between),
    )
    for number, index in enumerate(key_slices):
        logits[index] = key_logits[number]
    impose(result, annotations, annotation_complete, labels)
    return Propagated(result, logits, key_slices, travelled, rules)


def _recall_rules(
    memo: Memo,
    stack: SliceStack,
    label: int,
    annotations: Mapping[int, SliceAnnotation],
    parameters: PropagationParameters,
) -> LabelRules:
    exemplars = exemplars_of(label, annotations)
    key = (
        "rules",
        stack.key,
        tuple((each.index, digest(each.mask), digest(each.known)) for each in exemplars),
    )
    return memo.recall(key, lambda: calibrate(stack, exemplars, parameters))
