# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Slices run along the axis that the annotation was painted along, not along the one of a rule about spacings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.inferers.propagation.geometry.slice_axis import (
    axis_of_labels,
    choose_slice_axis,
    from_slices,
    refuse_other_axis,
    slice_spacing,
    to_slices,
    upright,
)
from scripts.inferers.propagation_inferer import PropagationInferer

SHAPE = (24, 28, 20)
SPACINGS = [(0.8, 0.8, 0.5), (0.5, 0.8, 0.8), (1, 1, 1), (1.5, 1.5, 5), (3, 1, 1)]


def organs() -> np.ndarray:
    """Two organs side by side, with a gap between them."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, size) for size in SHAPE], indexing="ij")
    one = ((x + 0.45) / 0.35) ** 2 + (y / 0.5) ** 2 + (z / 0.9) ** 2 < 1
    two = ((x - 0.5) / 0.25) ** 2 + ((y - 0.2) / 0.3) ** 2 + (z / 0.8) ** 2 < 1
    return (one * 1 + two * 3).astype(np.uint8)


def painted(axis: int, slices: list[int], background: int = 0) -> np.ndarray:
    """The organs on some slices of an axis; all others are background, or not annotated (255)."""
    label = np.full(SHAPE, background, np.uint8)
    index: list[Any] = [slice(None)] * 3
    index[axis] = slices
    label[tuple(index)] = organs()[tuple(index)]
    return label


@settings(max_examples=60, deadline=None)
@given(
    axis=st.integers(0, 2),
    spacing=st.sampled_from(SPACINGS),
    count=st.integers(1, 3),
    background=st.sampled_from([0, 255]),
)
def test_the_painted_axis_wins(axis: int, spacing: tuple[float, ...], count: int, background: int) -> None:
    slices = [SHAPE[axis] // 2 - 4 + 3 * number for number in range(count)]
    label = painted(axis, slices, background)
    found = axis_of_labels(label, spacing, preferred=2)
    assert found == axis
    refuse_other_axis(label, found)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_on_ties_the_spacing_decides(spacing: tuple[float, ...]) -> None:
    cube = np.zeros(SHAPE, np.uint8)
    cube[5:9, 5:9, 5:9] = 1
    assert axis_of_labels(cube, spacing, preferred=2) == choose_slice_axis(spacing, 2)
    assert axis_of_labels(np.zeros(SHAPE), spacing, preferred=2) == choose_slice_axis(spacing, 2)


def test_a_thin_object_on_spread_slices() -> None:
    """Two columns wide, on five axial slices: thinner from the side, and still painted from above."""
    vessel = np.zeros(SHAPE, np.uint8)
    vessel[10:12, 8:16, 2:18:4] = 1
    assert axis_of_labels(vessel, (1, 1, 5), preferred=2) == 2


def test_a_sagittal_painting_is_refused_elsewhere() -> None:
    label = painted(0, [7])
    with pytest.raises(
        ValueError, match=r"label 1 of a\.nii\.gz is one pixel thin on 16 slices along axis 2: .* give slice_axis 0"
    ):
        refuse_other_axis(label, 2, "a.nii.gz")
    mixed = painted(2, [9])
    mixed[18, 10:20, 3:15] = 4  # one organ axial, the other sagittal: no axis fits both
    with pytest.raises(ValueError, match=r"label \d of .* one pixel thin"):
        refuse_other_axis(mixed, axis_of_labels(mixed, (1, 1, 5), preferred=2))
    vessel = np.zeros(SHAPE, np.uint8)
    vessel[10, 8, :] = 1  # thin from both sides: a vessel, painted axially
    refuse_other_axis(vessel, 2)


def test_the_inferer_refuses_a_painting_of_another_axis() -> None:
    image = torch.zeros(1, *SHAPE)
    with pytest.raises(ValueError, match=r"label 1 of the annotation is one pixel thin"):
        PropagationInferer(slice_axis=2)(image, None, annotation=torch.from_numpy(painted(0, [7]))[None])


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
