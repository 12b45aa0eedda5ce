# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The rectangle of the body."""

from __future__ import annotations

import numpy as np

from scripts.inferers.propagation.geometry.body_box import body_box, holds, whole
from scripts.inferers.propagation.geometry.survey import survey_slices


def test_margins_and_specks_are_left_out():
    image = np.zeros((40, 30, 50), np.float32)
    image[5:35, 4:20, 10:41] = 100
    image[7, 28, 3] = 100  # bright on one slice of forty
    assert body_box(survey_slices(image, 0, 100)) == (slice(4, 20), slice(10, 41))
    assert body_box(survey_slices(np.zeros((2, 3, 4)), 0, 1)) == whole((3, 4)) == (slice(0, 3), slice(0, 4))


def test_a_box_holds_what_lies_inside():
    mask = np.zeros((30, 50), bool)
    mask[4, 10] = True
    assert holds((slice(4, 20), slice(10, 41)), mask)
    mask[3, 10] = True
    assert not holds((slice(4, 20), slice(10, 41)), mask)
