# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import nibabel
import numpy as np
import pytest
from PIL import Image

from scripts.apps.prepare.summary import summarise
from scripts.data import read_chaos_ct, read_image_folder

from ...data.dicom_files import SPACING, STEP, stored_volume, write_masks, write_series


def test_pictures(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number, (height, width) in enumerate(((10, 20), (30, 20), (12, 40))):
        image = np.full((height, width), 10 * number, np.uint8)
        mask = np.zeros((height, width), np.uint8)
        mask[: number * height // 2] = 1  # none, half, all
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    summary = summarise(read_image_folder(tmp_path, ["lung"]))
    assert summary["num_items"] == 3
    assert summary["num_empty"] == 1
    assert summary["classes"] == {"lung": {"items": 2, "mean_area": 0.75, "smallest_area": 0.5}}
    assert summary["sizes"]["height"] == {"min": 10, "median": 12, "max": 30}
    assert summary["sizes"]["width"] == {"min": 20, "median": 20, "max": 40}
    assert summary["formats"] == {"PNG L": 3}
    assert summary["intensities"] == {"min": 0, "p1": 10, "median": 10, "p99": 10, "max": 20}
    assert summarise(read_image_folder(tmp_path, ["lung"]), num_sampled=2)["intensities"]["max"] == 20


def test_volumes(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    label = np.zeros((4, 5, 6), np.uint8)
    label[1, 1, 2:4] = 1
    affine = np.diag([-1.5, 2, 7, 1])
    nibabel.save(nibabel.Nifti1Image(label.astype(np.int16) * 500 - 100, affine), tmp_path / "images" / "a.nii.gz")
    nibabel.save(nibabel.Nifti1Image(label, affine), tmp_path / "labels" / "a.nii.gz")
    summary = summarise(read_image_folder(tmp_path, ["liver"]))
    assert summary["classes"]["liver"] == {"items": 1, "slices": 2, "mean_area": 0.05, "smallest_area": 0.05}
    assert {axis: entry["max"] for axis, entry in summary["sizes"].items()} == {"left": 4, "back": 5, "head": 6}
    assert {axis: entry["max"] for axis, entry in summary["spacing_mm"].items()} == {"left": 1.5, "back": 2, "head": 7}
    assert summary["intensities"]["min"] == -100
    assert summary["intensities"]["max"] == pytest.approx(400)


def test_dicom_series(tmp_path):
    volume = stored_volume()
    write_series(tmp_path / "CT" / "7" / "DICOM_anon", volume)
    label = (volume > 100).astype(np.uint8) * 255
    write_masks(tmp_path / "CT" / "7" / "Ground", label, [f"{z}.png" for z in range(5)], range(5))
    summary = summarise(read_chaos_ct(tmp_path))
    assert summary["classes"]["liver"]["slices"] == 5
    spacing = {axis: entry["max"] for axis, entry in summary["spacing_mm"].items()}
    assert spacing == {"left": SPACING[1], "back": SPACING[0], "head": STEP}
