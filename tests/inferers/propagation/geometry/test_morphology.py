# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Masks on one slice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scripts.inferers.propagation.geometry.morphology import (
    dilate,
    drop_islands,
    fill_holes,
    hole_area,
    signed_distance,
)


def test_dilate_grows_by_a_square():
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    expected = np.zeros((9, 9), bool)
    expected[2:7, 2:7] = True
    assert np.array_equal(dilate(mask, 2), expected)
    assert np.array_equal(dilate(mask, 0), mask)


def test_signed_distance_counts_from_the_outline():
    mask = np.zeros((7, 7), bool)
    mask[2:5, 2:5] = True
    distance = signed_distance(mask)
    assert distance[3, 3] == pytest.approx(1.5)
    assert distance[2, 3] == pytest.approx(0.5)
    assert distance[1, 3] == pytest.approx(-0.5)
    assert distance[0, 3] == pytest.approx(-1.5)
    assert (signed_distance(np.zeros((3, 3), bool)) == -99).all()
    assert (signed_distance(np.ones((3, 3), bool)) == 99).all()


def test_fill_holes_up_to_a_size():
    mask = np.ones((12, 12), bool)
    mask[2, 2] = mask[6:9, 6:9] = False
    assert fill_holes(mask).all()
    filled = fill_holes(mask, largest=4)
    assert filled[2, 2]
    assert not filled[6:9, 6:9].any()


def test_drop_islands_by_pixels_and_fraction():
    mask = np.zeros((20, 20), bool)
    mask[:10, :10] = mask[15:18, 15:18] = True
    assert drop_islands(mask, 10, 0.0).sum() == 100
    assert drop_islands(mask, 9, 0.05).sum() == 109
    assert drop_islands(mask, 1, 0.1).sum() == 100


@settings(max_examples=30, deadline=None)
@given(arrays(bool, (9, 11), elements=st.booleans()))
def test_what_holds_for_any_mask(mask):
    filled = fill_holes(mask)
    assert (filled >= mask).all()
    assert hole_area(filled) == 0
    assert filled.sum() == mask.sum() + hole_area(mask)
    assert (drop_islands(mask, 3, 0.0) <= mask).all()
    if mask.any() and not mask.all():
        assert np.array_equal(signed_distance(mask) > 0, mask)
