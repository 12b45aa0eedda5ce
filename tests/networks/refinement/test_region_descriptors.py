# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Region descriptors against their definition."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.networks.refinement.region_descriptors import DESCRIPTORS, describe_region, perimeter


def test_values_by_definition() -> None:
    rng = np.random.default_rng(0)
    lab = rng.normal(size=(30, 30, 3)) * (10, 4, 2)
    mask = np.zeros((30, 30), dtype=bool)
    mask[8:20, 10:25] = True
    lab[mask] += (25, 3, 0)
    inside, outside, everything = lab[mask], lab[~mask], lab.reshape(-1, 3)
    variance = everything.var(axis=0).sum()
    between = sum(
        len(part) / len(everything) * np.square(part.mean(axis=0) - everything.mean(axis=0)).sum()
        for part in (inside, outside)
    )
    found = dict(zip(DESCRIPTORS, describe_region(mask, lab), strict=True))
    assert found["spread_inside"] == pytest.approx(np.log(np.sqrt(inside.var(axis=0).sum() / variance) + 0.05))
    assert found["spread_outside"] == pytest.approx(np.log(np.sqrt(outside.var(axis=0).sum() / variance) + 0.05))
    assert found["separation"] == pytest.approx(between / variance)
    assert found["compactness"] == pytest.approx(np.log(perimeter(mask) ** 2 / mask.sum()))


def test_perimeter_grows_like_length() -> None:
    rows, columns = np.mgrid[:200, :200]
    small, large = ((rows - 100) ** 2 + (columns - 100) ** 2 < radius**2 for radius in (30, 60))
    assert perimeter(large) / perimeter(small) == pytest.approx(2, rel=0.01)
    assert perimeter(large) == pytest.approx(2 * np.pi * 60, rel=0.2)
    assert perimeter(np.ones((10, 12), dtype=bool)) == 44  # the border alone


def test_a_compact_region_is_more_compact() -> None:
    lab = np.random.default_rng(0).random((40, 40, 3))
    square, comb = np.zeros((2, 40, 40), dtype=bool)
    square[10:30, 10:30] = True
    comb[5:35:3, 5:35] = True
    index = DESCRIPTORS.index("compactness")
    assert describe_region(square, lab)[index] < describe_region(comb, lab)[index]


@pytest.mark.parametrize("count", [0, 1, 99, 100])
def test_almost_empty_or_full_masks_have_none(count: int) -> None:
    mask = np.arange(100).reshape(10, 10) < count
    assert describe_region(mask, np.random.default_rng(0).random((10, 10, 3))) is None


def test_constant_image_is_finite() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:5, 2:5] = True
    assert np.isfinite(describe_region(mask, np.ones((10, 10, 3)))).all()


def test_shift_of_colour_changes_nothing() -> None:
    lab = np.random.default_rng(0).random((10, 10, 3)) * 20
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:6, 2:6] = True
    assert np.allclose(describe_region(mask, lab), describe_region(mask, lab + 40))
