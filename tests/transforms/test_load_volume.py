# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from scripts.transforms import LoadVolumed, volume_slice


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, str]:
    """A patient lying in a scanner: RAS file, bright voxel at the right front foot, label there, too."""
    image = np.zeros((4, 5, 3), np.float32)
    image[3, 4, 0] = 1  # right, front, foot, as axes rise to the right, front and head
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(image, affine), tmp_path / "i.nii.gz")
    nibabel.save(nibabel.Nifti1Image(image.astype(np.uint8), affine), tmp_path / "l.nii.gz")
    return {"image": str(tmp_path / "i.nii.gz"), "label": str(tmp_path / "l.nii.gz")}


def test_slices_are_shown_upright(pair: dict[str, str]) -> None:
    volume = LoadVolumed(("image", "label"))(pair)
    plane = volume_slice(volume["image"], 0)
    assert plane.shape == (1, 5, 4)
    assert plane[0, 0, 0] == 1  # front on top, the patient's right at the left
    assert plane.sum() == 1
    assert type(plane) is torch.Tensor
    assert torch.equal(volume_slice(volume["label"], 0), plane.to(torch.uint8))
    assert volume_slice(volume["image"], 2).sum() == 0


def test_keys_may_be_missing_when_allowed(pair: dict[str, str]) -> None:
    loaded = LoadVolumed(("image", "label"), allow_missing_keys=True)({"image": pair["image"], "case_id": "1"})
    assert loaded["image"].dtype == torch.float32
    assert loaded["case_id"] == "1"
    with pytest.raises(KeyError):
        LoadVolumed(("image", "label"))({"image": pair["image"]})


def test_label_of_another_grid_is_refused(tmp_path: Path, pair: dict[str, str]) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 2), np.uint8), np.eye(4)), tmp_path / "l.nii.gz")
    with pytest.raises(ValueError, match=r"i\.nii\.gz and its label .*l\.nii\.gz have different shapes"):
        LoadVolumed(("image", "label"))(pair)
