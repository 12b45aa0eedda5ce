# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Volumes as upright slices along any axis."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.inferers.propagation.geometry.slice_axis import (
    choose_slice_axis,
    from_slices,
    slice_spacing,
    to_slices,
    upright,
)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_of_any_axis_come_back(axis):
    volume = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    slices = to_slices(volume, axis)
    assert len(slices) == volume.shape[axis]
    assert np.array_equal(from_slices(slices, axis), volume)


def test_coronal_slices_have_the_head_on_top():
    volume = np.arange(5)[:, None, None] * np.ones((5, 2, 3))
    assert to_slices(volume, 1)[0][:, 0].tolist() == [4, 3, 2, 1, 0]
    assert slice_spacing((7.7, 1.5, 1.25), 1) == (1.5, 7.7, 1.25)


def test_slice_axis_is_the_one_with_the_largest_spacing():
    assert choose_slice_axis((7.7, 1.25, 1.25)) == 0
    assert choose_slice_axis((1.25, 7.7, 1.25)) == 1
    assert choose_slice_axis((2.0, 2.0, 2.0)) == 0
    assert choose_slice_axis((2.0, 2.0, 2.0), preferred=2) == 2


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_slice_is_turned_as_all_are(axis):
    volume = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    assert np.array_equal(upright(np.take(volume, 1, axis), axis), to_slices(volume, axis)[1])
