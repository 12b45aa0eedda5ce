# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The files of a segmented volume."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import nibabel
import numpy as np
import pytest

from scripts.inferers.propagation import SliceReport
from scripts.transforms.result_files import write_result_files
from scripts.transforms.source_grid import SourceGrid, read_source_grid

LABEL = np.zeros((2, 3, 4), np.uint8)  # canonical: to the left, back and head
LABEL[0, 1, 3] = LABEL[1, 1, 3] = 2
REPORTS = [SliceReport(3, 2, 2, 0.75), SliceReport(0, 2, 0, 0.5, "absent")]


@pytest.fixture
def grid(tmp_path: Path) -> SourceGrid:
    """A file whose axes run to the head (reversed), the right and the front; voxels of 2 x 3 x 5 mm."""
    affine = np.array([[0, 2.0, 0, 0], [0, 0, 3.0, 0], [-5.0, 0, 0, 0], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 2, 3), np.int16), affine), tmp_path / "case.nii.gz")
    return read_source_grid(tmp_path / "case.nii.gz")


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_what_is_always_written(grid: SourceGrid, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        written = write_result_files(grid, LABEL, REPORTS, tmp_path / "out", slice_axis=2)
    assert [path.name for path in written] == ["case_seg.nii.gz", "case_slices.csv"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["case_seg.nii.gz", "case_slices.csv"]
    found = np.asarray(nibabel.load(written[0]).dataobj)
    assert [tuple(map(int, place)) for place in np.argwhere(found == 2)] == [(0, 0, 1), (0, 1, 1)]
    assert rows(written[1]) == [
        {"slice": "0", "label": "2", "area": "2", "confidence": "0.75", "state": "predicted"},
        {"slice": "3", "label": "2", "area": "0", "confidence": "0.5", "state": "absent"},
    ]
    assert "slices are counted along axis 0 of" in caplog.text


def test_volumes_in_millilitres_and_names(grid: SourceGrid, tmp_path: Path) -> None:
    write_result_files(
        grid, LABEL, REPORTS, tmp_path, slice_axis=2, predicted_dice={2: 0.87654, 9: 0.5}, names={2: "liver"}
    )
    assert rows(tmp_path / "case_labels.csv") == [
        {"label": "2", "name": "liver", "voxels": "2", "ml": "0.06", "predicted_dice": "0.8765"},
        {"label": "9", "name": "label 9", "voxels": "0", "ml": "0.0", "predicted_dice": "0.5"},
    ]


def test_probability_has_the_file_s_axes(grid: SourceGrid, tmp_path: Path) -> None:
    probability = np.linspace(0, 1, LABEL.size, dtype=np.float16).reshape(LABEL.shape)
    write_result_files(grid, LABEL, [], tmp_path, slice_axis=2, probability=probability)
    found = nibabel.load(tmp_path / "case_probability.nii.gz")
    assert found.get_data_dtype() == np.float32
    expected = probability[::-1, ::-1, ::-1].transpose(2, 0, 1)
    assert np.array_equal(np.asarray(found.dataobj), expected.astype(np.float32))
