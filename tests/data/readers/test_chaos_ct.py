# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CHAOS CT in the layout of its download."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from scripts.data.readers.chaos_ct import CHAOS_CT_VALUES, read_chaos_ct
from scripts.transforms import LoadVolumed

from ..dicom_files import SLICES, stored_volume, write_masks
from .conftest import GREYS, organs


@pytest.mark.parametrize("inside", ["", "Train_Sets", "Train_Sets/CT"])
def test_ct(download: Path, inside: str) -> None:
    volumes = read_chaos_ct(download / inside)
    assert [volume["case_id"] for volume in volumes] == ["5", "6"]
    assert [z for z, area in enumerate(volumes[0]["slice_areas"]["liver"]) if area] == [1, 2, 3, 4]
    loaded = LoadVolumed(("image", "label"))(volumes[1])
    np.testing.assert_array_equal(loaded["image"][0].numpy(), stored_volume(1) * 2.0 - 200)
    assert torch.equal(loaded["label"][0] == 255, torch.from_numpy(organs(1) == GREYS["liver"]))


def test_ct_overlay_scales_by_the_window(download: Path, bundle_root: Path) -> None:
    config = ConfigParser()
    config.read_config([str(bundle_root / "configs" / name) for name in ("train.json", "data/chaos_ct.json")])
    config.update({"bundle_root": str(bundle_root), "dataset_dir": str(download)})
    item = config.get_parsed_content("eval_datalist")[0]
    for transform in config.get_parsed_content("volume_transforms"):
        item = transform(item)
    expected = np.clip((stored_volume(0) * 2.0 - 200 + 150) / 400, 0, 1)
    np.testing.assert_allclose(item["image"][0].numpy(), expected, atol=1e-6)


def test_sample(shared_data: Path) -> None:
    (volume,) = read_chaos_ct(shared_data / "CHAOS_CT_sample")
    assert volume["case_id"] == "CHAOS_CT_sample"
    assert volume["num_slices"] == 78
    assert volume["classes"] == {"liver": [1, 255]}


def test_the_only_class_and_chosen_cases(download: Path) -> None:
    (volume,) = read_chaos_ct(download, classes=["liver"], cases=[6])
    assert volume["case_id"] == "6"
    assert volume["classes"] == CHAOS_CT_VALUES == {"liver": [1, 255]}
    assert volume["num_slices"] == SLICES
    folder = download / "Train_Sets" / "CT" / "6"
    assert (volume["image"], volume["label"]) == (str(folder / "DICOM_anon"), str(folder / "Ground"))
    assert read_chaos_ct(folder)[0]["case_id"] == "6"


def test_masks_that_were_saved_as_an_index(download: Path) -> None:
    ground = download / "Train_Sets" / "CT" / "5" / "Ground"
    before = read_chaos_ct(download, cases=["5"])[0]["slice_areas"]
    liver = (organs(0) == GREYS["liver"]).astype(np.uint8)
    write_masks(ground, liver, [f"liver_GT_{number:03d}.png" for number in range(SLICES)], range(SLICES)[::-1])
    assert read_chaos_ct(download, cases=["5"])[0]["slice_areas"] == before
    assert before["liver"][0] == 0
    assert before["liver"][1] == pytest.approx(3 / 42)


def without_ground(case: Path) -> None:
    shutil.rmtree(case / "Ground")


def without_a_picture(case: Path) -> None:
    (case / "Ground" / "liver_GT_002.png").unlink()


def of_another_value(case: Path) -> None:
    write_masks(case / "Ground", np.full((7, 6, 1), 63, np.uint8), ["liver_GT_002.png"], [0])


@pytest.mark.parametrize(
    ("harm", "error", "message"),
    [
        (without_ground, FileNotFoundError, r"6 has no ground truth \(test cases .*expected the folder .*Ground"),
        (without_a_picture, ValueError, "Ground has 4 pictures, expected 5"),
        (of_another_value, ValueError, r"Ground has unknown label values \[63\]; expected 0-1, 255"),
    ],
)
def test_faults(download: Path, harm, error: type[Exception], message: str) -> None:
    harm(download / "Train_Sets" / "CT" / "6")
    with pytest.raises(error, match=message):
        read_chaos_ct(download)


def test_wrong_choices(download: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no case 7; its cases are 5, 6"):
        read_chaos_ct(download, cases=[7])
    with pytest.raises(ValueError, match="CHAOS CT has no class 'spleen'; its classes are liver"):
        read_chaos_ct(download, classes=["spleen"])
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="none has no CT/<case>/DICOM_anon; the layout of CHAOS CT is: Train_"):
        read_chaos_ct(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="missing of CHAOS CT is not a folder"):
        read_chaos_ct(tmp_path / "missing")
