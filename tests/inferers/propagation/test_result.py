# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a propagation hands back."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from scripts.inferers.propagation.result import PropagationResult, SliceReport


def test_a_report_is_a_value() -> None:
    report = SliceReport(3, 7, 12, 0.5)
    assert report == SliceReport(slice=3, label=7, area=12, confidence=0.5, state="predicted")
    assert len({report, SliceReport(3, 7, 12, 0.5), SliceReport(3, 7, 0, 0.5, "absent")}) == 2
    with pytest.raises(FrozenInstanceError):
        report.area = 1  # type: ignore[misc]


def test_a_result_holds_what_it_is_given() -> None:
    label = np.eye(3, dtype=np.uint8)[None]
    result = PropagationResult(
        label=label, probability=None, slices=[], predicted_dice={1: 0.9}, slice_axis=2, seconds={"output": 0.1}
    )
    result.label = result.label.transpose(2, 1, 0)  # inferers turn it to their axes
    assert result.label.shape == (3, 3, 1)
    assert (result.predicted_dice[1], result.slice_axis, result.probability) == (0.9, 2, None)
