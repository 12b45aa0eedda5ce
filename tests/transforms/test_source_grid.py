# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The grid of a source: axes there and back, whatever their order."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import inv_ornt_aff
from numpy.typing import NDArray

from scripts.data.volume_reader import read_volume
from scripts.transforms.source_grid import read_source_grid

from ..data.dicom_files import affine_of, stored_volume, write_series

ORIENTATIONS = [
    np.array([[axis, flip] for axis, flip in zip(order, flips, strict=True)])
    for order in itertools.permutations(range(3))
    for flips in ((1, 1, 1), (-1, -1, 1), (1, -1, -1))
]


def affine(orientation: NDArray[np.int_]) -> NDArray[np.float64]:
    """Of axes in that order and direction, 2, 3 and 4 mm to the right, front and head."""
    turned: NDArray[np.float64] = np.diag([2.0, 3, 4, 1]) @ inv_ornt_aff(orientation, (2, 3, 4))
    return turned


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda each: "".join(map(str, each.ravel())))
def test_axes_there_and_back(orientation: NDArray[np.int_], tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti1Image(values, affine(orientation)), tmp_path / "v.nii.gz")
    grid = read_source_grid(tmp_path / "v.nii.gz")
    assert (grid.source, grid.shape, grid.series) == (tmp_path / "v.nii.gz", (2, 3, 4), None)
    canonical = grid.to_canonical(values)
    assert np.array_equal(canonical, read_volume(tmp_path / "v.nii.gz", is_label=True).array)
    assert np.array_equal(grid.from_canonical(canonical), values)
    for axis in range(3):
        own, is_reversed = grid.own_axis(axis)
        plane = values.take(values.shape[own] - 1 if is_reversed else 0, axis=own)
        assert sorted(plane.ravel()) == sorted(canonical.take(0, axis=axis).ravel())


def test_a_slab_is_turned_alike(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 1, 1, 1])), tmp_path / "v.nii.gz")
    grid = read_source_grid(tmp_path / "v.nii.gz")
    assert np.array_equal(grid.to_canonical(values[:, :, 1:2]), values[::-1, ::-1, 1:2])  # to the left and the back
    assert grid.own_axis(0) == (0, True)
    assert grid.own_axis(2) == (2, False)
    with pytest.raises(ValueError, match=r"a result of shape \(2, 3, 3\) does not fit the grid \(2, 3, 4\) of .*v\."):
        grid.from_canonical(values[:, :, 1:])


def test_a_series_has_columns_rows_slices(tmp_path: Path) -> None:
    write_series(tmp_path / "case", stored_volume())
    grid = read_source_grid(tmp_path / "case")
    assert grid.shape == stored_volume().shape
    assert grid.header is None
    assert grid.series is not None
    np.testing.assert_allclose(grid.affine, affine_of(), atol=1e-6)
