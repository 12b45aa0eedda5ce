# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Region descriptors against their definition."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.networks.refinement.region_descriptors import (
    NUM_DESCRIPTORS,
    describe_region,
    mean_region,
    perimeter,
    to_row,
)


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
    found = describe_region(mask, lab)
    assert found is not None
    assert found.spread_inside == pytest.approx(np.log(np.sqrt(inside.var(axis=0).sum() / variance) + 0.05))
    assert found.spread_outside == pytest.approx(np.log(np.sqrt(outside.var(axis=0).sum() / variance) + 0.05))
    assert found.separation == pytest.approx(between / variance)
    assert found.compactness == pytest.approx(np.log(perimeter(mask) ** 2 / mask.sum()))
    assert found.border == 0
    spread = np.sqrt(variance) + 1e-3
    assert found.contrast == pytest.approx(tuple((inside.mean(axis=0) - outside.mean(axis=0)) / spread))
    ring = np.zeros_like(mask)
    for row, column in np.argwhere(mask):  # city-block distance of at most six pixels
        for step in range(-6, 7):
            rest = 6 - abs(step)
            if 0 <= row + step < 30:
                ring[row + step, max(0, column - rest) : column + rest + 1] = True
    near = inside.mean(axis=0) - lab[ring & ~mask].mean(axis=0)
    assert found.near_contrast == pytest.approx(tuple(near / spread))


def test_border_is_the_share_that_is_covered() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[:5] = True
    found = describe_region(mask, np.random.default_rng(0).random((10, 10, 3)))
    assert found is not None
    assert found.border == (10 + 5 + 5) / 40


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
    assert to_row(describe_region(square, lab))[2] < to_row(describe_region(comb, lab))[2]


@pytest.mark.parametrize("count", [0, 1, 99, 100])
def test_almost_empty_or_full_masks_have_none(count: int) -> None:
    mask = np.arange(100).reshape(10, 10) < count
    assert describe_region(mask, np.random.default_rng(0).random((10, 10, 3))) is None


def test_constant_image_is_finite() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:5, 2:5] = True
    assert np.isfinite(to_row(describe_region(mask, np.ones((10, 10, 3))))).all()


def test_shift_of_colour_changes_nothing() -> None:
    lab = np.random.default_rng(0).random((10, 10, 3)) * 20
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:6, 2:6] = True
    assert np.allclose(to_row(describe_region(mask, lab)), to_row(describe_region(mask, lab + 40)))


def test_mean_leaves_out_what_has_no_region() -> None:
    rows = np.stack([to_row(None), np.arange(11.0), np.arange(11.0) + 2])
    mean = mean_region(rows)
    assert mean is not None
    assert np.allclose(to_row(mean), np.arange(NUM_DESCRIPTORS) + 1)
    assert mean_region(rows[:1]) is None
