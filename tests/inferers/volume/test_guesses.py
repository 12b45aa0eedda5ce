# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What is said of the axis and the window that were found."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from scripts.inferers.volume.guesses import tell_guesses


def label() -> np.ndarray:
    array = np.zeros((6, 7, 8), np.uint8)
    array[2:4, [1, 5], 2:5] = 1
    array[0, 0, 0] = 255
    return array


@pytest.mark.parametrize(
    ("found_axis", "window", "line"),
    [
        (
            True,
            (-150.0, 250.0),
            "found: slices run along axis 1 (to the patient's back), 2 annotated; intensities from -150 to 250 matter; "
            "set by slice_axis and intensity_window",
        ),
        (True, None, "found: slices run along axis 1 (to the patient's back), 2 annotated; set by slice_axis"),
        (False, (0.5, 3.25), "found: intensities from 0.5 to 3.25 matter; set by intensity_window"),
    ],
)
def test_one_line_with_the_keys(
    caplog: pytest.LogCaptureFixture, found_axis: bool, window: tuple[float, float] | None, line: str
) -> None:
    with caplog.at_level(logging.INFO):
        tell_guesses(label(), slice_axis=1, found_axis=found_axis, window=window)
    assert [record.message for record in caplog.records] == [line]


def test_nothing_is_said_of_what_was_given(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        tell_guesses(label(), slice_axis=1, found_axis=False, window=None)
    assert not caplog.records
