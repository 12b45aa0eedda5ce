# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Slices are compared with tolerances: what rounding does is no difference, what a user would see is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.data.dicom.geometry import stack_slices
from scripts.data.dicom.header import SliceHeader

ORIENTATION = np.array([[1.0, 0, 0], [0, 1, 0]])


def headers(count: int = 5, **changes: Any) -> list[SliceHeader]:
    """Slices every 2 mm; a change is a function of the slice's number that gives another entry."""

    def one(z: int) -> SliceHeader:
        plain = SliceHeader(
            Path(f"IM{z}.dcm"),
            0,
            np.array([-30.0, 12.0, 2.0 * z]),
            ORIENTATION,
            np.array([0.7, 0.7]),
            2.0,
            (6, 8),
            (1.0, 0.0),
        )
        return plain._replace(**{name: change(z) for name, change in changes.items()})

    return [one(z) for z in range(count)]


@settings(max_examples=40, deadline=None)
@given(spacing=st.floats(0.3, 2.0), rounding=st.floats(-2e-4, 2e-4), order=st.permutations(range(5)))
def test_rounding_is_no_difference(spacing: float, rounding: float, order: list[int]) -> None:
    """Two nearly equal values were once rounded into two bins, such as 0.70249 and 0.70251."""

    def spacings(z: int) -> np.ndarray:
        return np.full(2, spacing + (rounding if z == 2 else 0) * spacing)

    def orientations(z: int) -> np.ndarray:
        turned = ORIENTATION + [[0, rounding * (z % 2), 0], [0, 0, rounding * (z == 1)]]
        return turned / np.linalg.norm(turned, axis=1, keepdims=True)

    slices = headers(spacing=spacings, orientation=orientations)
    ordered, affine = stack_slices([slices[z] for z in order])
    assert [one.path.name for one in ordered] == [f"IM{z}.dcm" for z in range(5)]
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), (spacing, spacing, 2), rtol=1e-3)


@pytest.mark.parametrize("digits", [0.70249, 0.7025, 0.70251, 0.0070249])
def test_values_at_the_edge_of_a_rounding(digits: float) -> None:
    stack_slices(headers(spacing=lambda z: np.full(2, digits + 2e-6 * (z % 2))))


@pytest.mark.parametrize(
    ("name", "odd", "message"),
    [
        ("lacks", ("RescaleIntercept",), r"IM2\.dcm has no RescaleIntercept, which 4 other slices of its series have"),
        ("lacks", ("RescaleSlope",), r"IM2\.dcm has no RescaleSlope, which 4 other"),
        ("spacing", np.array([0.7, 0.709]), r"IM2\.dcm has another pixel spacing in mm .* \[0\.7, 0\.709\], expected"),
        ("size", (6, 9), r"IM2\.dcm has another size .* \[6, 9\], expected \[6, 8\]"),
        ("orientation", np.array([[0.0, 1, 0], [0, 0, -1]]), r"IM2\.dcm has another orientation"),
    ],
)
def test_the_odd_slice_is_named(name: str, odd: Any, message: str) -> None:
    usual = getattr(headers(1)[0], name)
    with pytest.raises(ValueError, match=message):
        stack_slices(headers(**{name: lambda z: odd if z == 2 else usual}))


def test_entries_that_no_slice_has_take_their_defaults() -> None:
    ordered, _ = stack_slices(headers(lacks=lambda z: ("RescaleSlope", "RescaleIntercept")))
    assert len(ordered) == 5
