# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The steps in their order: which slices are keys, which way leads to the output, what is remembered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from scripts.inferers.propagation.evidence.annotations import SliceAnnotation
from scripts.inferers.propagation.evidence.slice_features import SliceStack
from scripts.inferers.propagation.memory.memo import Memo
from scripts.inferers.propagation.parameters import PropagationParameters
from scripts.inferers.propagation.pipeline import Propagated, segment_stack

SWITCHES = {"use_features": False, "use_ridge": False, "use_flow": False, "use_calibration": False, "bias": 0.0}


def square(row: int, column: int) -> np.ndarray:
    mask = np.zeros((32, 48), bool)
    mask[row : row + 12, column : column + 12] = True
    return mask


LEFT, RIGHT = square(10, 4), square(10, 30)


@pytest.fixture
def stack() -> SliceStack:
    """Seven equal slices with two bright squares on a dark ground; a step without bias then keeps an outline."""
    images = np.full((7, 32, 48), 0.1, np.float32)
    images[:, LEFT], images[:, RIGHT] = 0.6, 0.95
    return SliceStack(images, {level: torch.ones(7, 1, 4, 6) for level in ("c3", "c4", "c5")}, 6)


def annotate(*masks: tuple[np.ndarray, int]) -> SliceAnnotation:
    label = np.zeros((32, 48), np.int32)
    for mask, value in masks:
        label[mask] = value
    return SliceAnnotation(label, np.ones((32, 48), bool))


def segment(stack: SliceStack, step: int = 1, memo: Memo | None = None, **options: Any) -> Propagated:
    """Slice 3 shows both squares."""
    parameters = PropagationParameters(**{**SWITCHES, **options.pop("parameters", {})})
    annotations = {3: annotate((LEFT, 2), (RIGHT, 9))}
    return segment_stack(stack, annotations, parameters, step=step, memo=memo, **options)


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("output_pass", [True, False])
def test_equal_slices_get_equal_labels(stack: SliceStack, step: int, output_pass: bool) -> None:
    found = segment(stack, step, parameters={"use_output_pass": output_pass})
    expected = np.where(LEFT, 2, np.where(RIGHT, 9, 0))
    assert all(np.array_equal(label, expected) for label in found.labels)
    assert sorted(found.rules) == sorted(found.travelled) == [2, 9]
    assert {index for index, _ in found.summary.strongest} >= {0, 1, 2, 4, 5, 6}


def test_key_slices_and_their_positions(stack: SliceStack) -> None:
    found = segment(stack, 2)
    assert list(found.key_slices) == [0, 1, 3, 5, 6]
    assert found.positions == {0: 0, 1: 1, 3: 2, 5: 3, 6: 4}
    assert sorted(found.travelled[2]) == [0, 1, 2, 3, 4]
    assert list(segment(stack, 2, parameters={"use_key_slices": False}).key_slices) == list(range(7))


def test_the_highest_logit_is_kept_on_request(stack: SliceStack) -> None:
    assert segment(stack, keep_highest=False).summary.highest is None
    highest = segment(stack).summary.highest
    assert highest is not None
    assert (highest[5][LEFT | RIGHT] > 0).all()
    assert highest[5, 0, 20] < 0


def test_progress_of_both_stages(stack: SliceStack) -> None:
    told: list[tuple[str, int, int]] = []
    segment(stack, 2, progress=lambda *call: told.append(call))
    stages = [stage for stage, _, _ in told]
    assert stages == sorted(stages, reverse=True)  # "propagate" before "between"
    assert [call for call in told if call[0] == "between"] == [("between", 1, 2), ("between", 2, 2)]
    assert all(done <= total for _, done, total in told)


def test_a_second_run_computes_nothing_anew(stack: SliceStack) -> None:
    memo = Memo()
    memo.start_run()
    first = segment(stack, 2, memo)
    assert memo.misses > 0
    memo.start_run()
    second = segment(stack, 2, memo)
    assert memo.misses == 0
    assert np.array_equal(first.labels, second.labels)


def test_an_annotation_without_the_label_ends_it(stack: SliceStack) -> None:
    annotations = {3: annotate((LEFT, 2), (RIGHT, 9)), 6: annotate((RIGHT, 9))}
    parameters = PropagationParameters(**SWITCHES)
    found = segment_stack(stack, annotations, parameters, annotation_complete="all").labels
    assert not (found[6] == 2).any()
    assert np.array_equal(found[6] == 9, RIGHT)
    assert np.array_equal(found[0] == 2, LEFT)
