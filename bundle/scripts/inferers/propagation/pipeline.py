# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The steps of the propagation in their order: rules, chains over key slices, output, the slices in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .chains.between import fill_between
from .chains.logit_summary import LogitSummary
from .chains.output import output_labels, travelled_labels
from .chains.wavefront import propagate
from .evidence.annotations import SliceAnnotation, exemplars_of, impose, labels_of
from .evidence.calibration import calibrate
from .evidence.label_rules import LabelRules
from .evidence.slice_features import SliceStack
from .geometry.key_slices import choose_key_slices
from .memory.memo import Memo, digest
from .parameters import PropagationParameters
from .progress import Progress

__all__ = ["Propagated", "segment_stack"]


@dataclass
class Propagated:
    """Result on the working grid.

    Attributes:
        labels: (Z, h, w).
        summary: of the logits that led to them.
        key_slices: indices of the slices that chains went over.
        travelled: by label, the masks (h, w) of its chains, by position among the key slices.
        rules: by label.
    """

    labels: NDArray[np.int32]
    summary: LogitSummary
    key_slices: Sequence[int]
    travelled: Mapping[int, Mapping[int, NDArray[np.bool_]]]
    rules: Mapping[int, LabelRules]

    @cached_property
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
    keep_highest: bool = True,
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
        keep_highest: whether the result keeps the highest logit per pixel.
        memo: remembers earlier runs.
        progress: called with (stage, done, total).
    """
    memo = memo or Memo()
    labels = labels_of(annotations.values())
    if not parameters.key_slices.use_key_slices:
        step = 1
    key_slices = choose_key_slices(len(stack), annotations, step)
    keys = stack.subset(key_slices)
    position = {index: number for number, index in enumerate(key_slices)}
    key_annotations = {position[index]: annotation for index, annotation in annotations.items()}
    rules = {label: _recall_rules(memo, keys, label, key_annotations, parameters) for label in labels}
    summary = LogitSummary((len(stack), *stack.shape), keep_highest=keep_highest)

    def on_step(done: int) -> None:
        if progress is not None:
            progress("propagate", done, max(done, len(keys) * len(labels)))

    travelled = propagate(
        keys,
        key_annotations,
        rules,
        parameters.masks,
        parameters.evidence,
        annotation_complete=annotation_complete,
        memo=memo,
        progress=on_step,
    )
    if parameters.output.use_output_pass:
        result = output_labels(
            keys,
            travelled,
            key_annotations,
            rules,
            parameters.output,
            parameters.ridge,
            summary=summary,
            slices=key_slices,
            annotation_complete=annotation_complete,
            memo=memo,
        )
    else:
        result = travelled_labels(travelled, key_annotations, (len(keys), *stack.shape), annotation_complete)
        for number, index in enumerate(key_slices):
            logits = {label: reached.logits[number] for label, reached in travelled.items() if number in reached.logits}
            summary.add(index, logits)
        for label, reached in travelled.items():
            for number, refused in reached.refused.items():
                summary.refuse(key_slices[number], label, refused)
    masks = {label: reached.masks for label, reached in travelled.items()}
    del travelled  # its logits are not needed any more
    if len(key_slices) < len(stack):
        between = len(stack) - len(key_slices)
        result = fill_between(
            stack,
            result,
            key_slices,
            annotations,
            rules,
            parameters.evidence,
            bias=parameters.key_slices.between_bias,
            clip=parameters.masks.meeting_clip,
            summary=summary,
            memo=memo,
            progress=None if progress is None else lambda done: progress("between", done, between),
        )
        impose(result, annotations, annotation_complete, labels)
    return Propagated(result, summary, key_slices, masks, rules)


def _recall_rules(
    memo: Memo,
    stack: SliceStack,
    label: int,
    annotations: Mapping[int, SliceAnnotation],
    parameters: PropagationParameters,
) -> LabelRules:
    exemplars = exemplars_of(label, annotations)
    defaults = LabelRules.default(parameters.evidence, parameters.masks, parameters.ridge)
    key = (
        "rules",
        stack.key,
        tuple((each.index, digest(each.mask), digest(each.known)) for each in exemplars),
    )
    return memo.recall(key, lambda: calibrate(stack, exemplars, defaults, parameters.calibration, parameters.evidence))
