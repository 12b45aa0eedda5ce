# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from scripts.apps.reports.agreement import compare_volumes


def save(path: Path, label: np.ndarray, shift: float = 0.0) -> Path:
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    affine[0, 3] = shift
    nibabel.save(nibabel.Nifti1Image(label.astype(np.uint8), affine), path)
    return path


@pytest.fixture
def label() -> np.ndarray:
    label = np.zeros((12, 12, 6), np.uint8)
    label[2:8, 2:8, 1:5] = 1
    label[9:11, 9:11, 1:5] = 2
    return label


def test_a_mask_that_is_one_voxel_longer(tmp_path: Path, label: np.ndarray) -> None:
    longer = label.copy()
    longer[8, 2:8, 1:5] = 1
    found = compare_volumes(save(tmp_path / "a.nii.gz", longer), save(tmp_path / "b.nii.gz", label), value=1)
    assert found.dice == pytest.approx(2 * 144 / (144 + 168))
    assert found.ravd == pytest.approx(24 / 144)
    assert found.mssd == pytest.approx(2.0)  # mm: the spacing along x
    assert 0 < found.assd < 2


def test_without_a_value_all_labels_count(tmp_path: Path, label: np.ndarray) -> None:
    first = save(tmp_path / "a.nii.gz", label)
    second = save(tmp_path / "b.nii.gz", np.where(label == 2, 0, label))
    assert compare_volumes(second, first, value=1).dice == 1
    assert compare_volumes(second, first).dice == pytest.approx(2 * 144 / (144 + 160))
    assert compare_volumes(second, first, value=2).dice == 0


def test_another_grid_is_refused(tmp_path: Path, label: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"a\.nii\.gz"):
        compare_volumes(save(tmp_path / "a.nii.gz", label, shift=9), save(tmp_path / "b.nii.gz", label))
