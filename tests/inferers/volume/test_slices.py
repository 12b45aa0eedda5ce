# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A volume as slices."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.inferers.volume.slices import ScaledSlices, VolumeSlices


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("turn", [slice(None), slice(None, None, -1)])
def test_what_is_shown_comes_back(axis: int, turn: slice) -> None:
    image = np.random.default_rng(0).uniform(0, 100, (5, 6, 7)) ** 2
    slices = VolumeSlices(image[..., turn], slice_axis=axis)
    assert len(slices) == image.shape[axis]
    assert np.array_equal(slices.as_volume(slices.shown), image[..., turn])
    assert np.array_equal(slices.show(np.take(image[..., turn], 2, axis)), slices.shown[2])
    assert slices.shape == slices.shown.shape[1:]


def test_box_and_range_follow_the_labels() -> None:
    image = np.zeros((4, 20, 20))
    image[:, 5:15, 4:16] = np.linspace(50, 100, 12)
    slices = VolumeSlices(image)
    inside, outside = np.zeros((2, 20, 20), bool)
    inside[7, 7], outside[0, 0] = True, True
    assert slices.box_of([inside]) == slices.body != slices.box_of([inside, outside])
    assert slices.box_of([outside]) == (slice(0, 20), slice(0, 20))
    assert slices.range_of(slices.body) != slices.range_of(slices.box_of([outside]))
    window = VolumeSlices(image, intensity_window=(10, 20))
    assert window.range_of(window.body) == (10, 20)


def test_slices_are_scaled_when_asked_for() -> None:
    scaled = ScaledSlices(np.array([[[0, 5, 20]]]), 0, 10)
    assert len(scaled) == 1
    assert scaled[0].tolist() == [pytest.approx([0, 0.5, 1])]
