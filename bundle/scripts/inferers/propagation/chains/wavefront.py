# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""All chains advance together: one slice per tick, every label, from every annotated slice, both ways.

A chain carries a mask from slice to slice. Where another label was there before, its annotated pixels are forbidden and
its predicted ones cost as much as it was sure of them. The mask that travels is cautious (negative bias), because an
error travels with it. Chains of one label that come from two annotated slices meet: their logits are averaged, weighted
by the inverse of the steps they made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..evidence.annotations import SliceAnnotation, exemplars_of, forbidden_pixels
from ..evidence.label_rules import LabelRules
from ..evidence.slice_features import SliceStack
from ..evidence.unary import Exemplar, slice_logit
from ..geometry.morphology import drop_islands, fill_holes
from ..memory.memo import Memo, digest
from ..parameters import EvidenceParameters, MaskParameters

__all__ = ["OUTSIDE", "TravelledLabel", "propagate", "recall_logit", "tidy"]

OUTSIDE = -9.0  # logit outside the window of a chain
SURE = 9.0  # logit on an annotation

Mask = NDArray[np.bool_]
Logit = NDArray[np.float32]


@dataclass
class TravelledLabel:
    """Where the chains of one label have been.

    Attributes:
        logits: (h, w) by slice.
        masks: (h, w) by slice.
        steps: by slice, steps from the annotated slice; 0 on an annotated slice.
        refused: by slice on which a chain ended, the logit that as many pixels reached as the smallest mask needs.
    """

    logits: dict[int, Logit] = field(default_factory=dict)
    masks: dict[int, Mask] = field(default_factory=dict)
    steps: dict[int, int] = field(default_factory=dict)
    refused: dict[int, float] = field(default_factory=dict)


@dataclass
class _Chain:
    label: int
    annotated: Exemplar
    direction: int
    previous: Exemplar


def propagate(
    stack: SliceStack,
    annotations: Mapping[int, SliceAnnotation],
    rules: Mapping[int, LabelRules],
    parameters: MaskParameters,
    evidence: EvidenceParameters,
    *,
    annotation_complete: str = "own",
    memo: Memo | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[int, TravelledLabel]:
    """Carry every label from its annotated slices through the stack.

    Args:
        stack: the slices.
        annotations: by slice, on the working grid.
        rules: by label; its keys are the labels that travel.
        parameters: how masks travel.
        evidence: what speaks for a label.
        annotation_complete: what an unlabelled pixel of an annotated slice means.
        memo: remembers the evidence of earlier runs.
        progress: called with the number of steps made by all chains together.

    Returns:
        Per label, logits and masks of the slices that its chains reached.
    """
    memo = memo or Memo()
    travelled = {label: TravelledLabel() for label in sorted(rules)}
    chains: list[_Chain] = []
    for label, reached in travelled.items():
        for exemplar in exemplars_of(label, annotations):
            reached.masks[exemplar.index] = exemplar.mask
            reached.logits[exemplar.index] = np.where(exemplar.mask, SURE, OUTSIDE).astype(np.float32)
            reached.steps[exemplar.index] = 0
            chains += [_Chain(label, exemplar, direction, exemplar) for direction in (1, -1)]
    sources = {label: frozenset(reached.masks) for label, reached in travelled.items()}
    visits: dict[tuple[int, int], list[tuple[int, Logit, Mask]]] = {}
    step = steps_made = 0
    while chains:
        step += 1
        alive, arrivals = [], []
        for chain in chains:
            label = chain.label
            index = chain.annotated.index + chain.direction * step
            if not 0 <= index < len(stack) or index in sources[label]:
                continue
            logit, window = recall_logit(memo, stack, index, chain.previous, chain.annotated, rules[label], evidence)
            logit = logit + parameters.bias
            denied = forbidden_pixels(label, annotations.get(index), annotation_complete)
            if parameters.use_exclusion:
                for other, reached in travelled.items():
                    if other != label and 0 < reached.steps.get(index, step) < step:
                        claim = np.clip(reached.logits[index], 0, parameters.claim_clip)
                        logit = logit - np.where(reached.masks[index], claim, 0)
            if denied is not None:
                logit = np.where(denied, OUTSIDE, logit)
            mask = tidy((logit > 0) & window, rules[label], parameters.largest_hole)
            if denied is not None:
                mask &= ~denied
            steps_made += 1
            smallest = max(1, rules[label].smallest_area)
            if mask.sum() < smallest:
                refused = travelled[label].refused
                refused[index] = max(refused.get(index, OUTSIDE), _reached_by(logit[window], math.ceil(smallest)))
                continue
            arrivals.append((label, index, np.where(window, logit, OUTSIDE).astype(np.float32), mask))
            chain.previous = Exemplar(index, mask)
            alive.append(chain)
        for label, index, logit, mask in arrivals:
            visits.setdefault((label, index), []).append((step, logit, mask))
            _meet(travelled[label], index, visits[label, index], rules[label], parameters)
        chains = alive
        if progress is not None:
            progress(steps_made)
    return travelled


def recall_logit(
    memo: Memo,
    stack: SliceStack,
    index: int,
    previous: Exemplar,
    annotated: Exemplar,
    rules: LabelRules,
    parameters: EvidenceParameters,
) -> tuple[Logit, Mask]:
    """``slice_logit``, remembered by everything that it depends on."""
    key = (
        "logit",
        *(stack.indices[index], rules),
        *(stack.indices[previous.index], digest(previous.mask), digest(previous.known)),
        *(stack.indices[annotated.index], digest(annotated.mask), digest(annotated.known)),
    )
    return memo.recall(key, lambda: slice_logit(stack, index, previous, annotated, rules, parameters))


def tidy(mask: Mask, rules: LabelRules, largest_hole: int | None = None) -> Mask:
    """Fill holes (while a mask travels, only those of up to so many pixels) and drop islands, as the rules say."""
    if rules.fills_holes:
        mask = fill_holes(mask, largest_hole)
    return drop_islands(mask, rules.smallest_island, rules.island_fraction)


def _meet(
    reached: TravelledLabel,
    index: int,
    visits: list[tuple[int, Logit, Mask]],
    rules: LabelRules,
    parameters: MaskParameters,
) -> None:
    """Enter what chains of one label found on a slice."""
    first_step, logit, mask = visits[0]
    if len(visits) > 1:
        weights = np.array([1 / step for step, _, _ in visits])
        weights /= weights.sum()
        clip = parameters.meeting_clip
        logit = sum(
            weight * np.clip(each, -clip, clip) for weight, (_, each, _) in zip(weights, visits, strict=True)
        ).astype(np.float32)
        mask = tidy(logit > 0, rules, parameters.largest_hole)
    reached.steps[index] = first_step
    reached.logits[index] = logit
    reached.masks[index] = mask


def _reached_by(logits: NDArray[np.floating], count: int) -> float:
    """The logit (N,) that ``count`` of the pixels reach, or all where there are fewer."""
    if not logits.size:
        return OUTSIDE
    kept = min(count, logits.size)
    return float(np.partition(logits, -kept)[-kept])
