# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Confidence and predicted Dice."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.inferers.propagation.chains.logit_summary import LogitSummary
from scripts.inferers.propagation.chains.self_check import check_result
from scripts.inferers.propagation.evidence.annotations import SliceAnnotation
from scripts.inferers.propagation.parameters import PropagationParameters
from scripts.inferers.propagation.pipeline import Propagated

WITHOUT_WALK = PropagationParameters(use_self_check=False)


def propagated(labels: np.ndarray, travelled: dict[int, np.ndarray], **strongest: float) -> Propagated:
    summary = LogitSummary(labels.shape, keep_highest=False)
    summary.strongest = {(int(name[1:]), 1): value for name, value in strongest.items()}
    return Propagated(labels, summary, range(len(labels)), {1: travelled}, {})


def test_confidence_falls_with_doubt_and_distance():
    """On slices with the same doubt, the one that is farther from the annotation is less sure."""
    masks = {index: np.pad(np.ones((6, 6), bool), 5) for index in range(5)}
    labels = np.stack([np.pad(np.ones((8, 8), np.int32), 4)] * 5)
    annotation = SliceAnnotation(labels[0], np.ones((16, 16), bool))
    check = check_result([None] * 5, propagated(labels, masks), {0: annotation}, WITHOUT_WALK)
    assert check.confidence[0, 1] == 1.0
    values = [check.confidence[index, 1] for index in range(1, 5)]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(1 / (1 + 28 * 1.05 * 128 / 256))
    assert values[3] == pytest.approx(1 / (1 + 28 * 1.20 * 128 / 256))


def test_a_label_missed_on_a_slice_is_no_certainty():
    labels = np.zeros((4, 16, 16), np.int32)
    labels[0, 4:12, 4:12] = 1
    annotation = SliceAnnotation(labels[0], np.ones((16, 16), bool))
    check = check_result([None] * 4, propagated(labels, {}, s1=0.0), {0: annotation}, WITHOUT_WALK)
    assert [check.confidence[index, 1] for index in range(4)] == pytest.approx([1, 0.5, 0.75, 0.875])
    reports = check.reports(labels)
    assert [(report.area, report.state) for report in reports] == [
        (64, "annotated"), (0, "absent"), (0, "absent"), (0, "absent"),
    ]  # fmt: skip


def test_an_annotation_that_denies_the_label_is_certain():
    labels = np.zeros((3, 16, 16), np.int32)
    labels[0, 4:12, 4:12] = 1
    known = np.ones((16, 16), bool)
    annotations = {0: SliceAnnotation(labels[0], known), 1: SliceAnnotation(labels[1], known)}
    check = check_result([None] * 3, propagated(labels, {}), annotations, WITHOUT_WALK)
    assert check.confidence[1, 1] == 1.0
    assert [report.state for report in check.reports(labels)] == ["annotated", "annotated", "absent"]
    assert check.confidence[2, 1] == 0.999
