# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CHAOS in the layout of its download."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from scripts.data.readers.chaos_ct import read_chaos_ct
from scripts.data.readers.chaos_mr import CHAOS_MR_GREYS, read_chaos_mr
from scripts.transforms import LoadVolumed

from ..conftest import save_volume
from ..dicom_files import SLICES, stored_volume, write_masks, write_series

GREYS = {"liver": 63, "right kidney": 126, "left kidney": 189, "spleen": 252}


def organs(seed: int) -> np.ndarray:
    """(columns, rows, slices): the liver from slice 1 on, each other organ on one slice; none on slice 0."""
    label = np.zeros((7, 6, SLICES), np.uint8)
    label[0, :3, 1:] = GREYS["liver"]
    for z, name in enumerate(("right kidney", "left kidney", "spleen"), start=1):
        label[2 + seed % 4, z, z] = GREYS[name]
    return label


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """Train_Sets with MR cases 1, 2, 10 and CT cases 5, 6; names of the CT's files run from head to feet."""
    root = tmp_path / "CHAOS"
    for seed, case in enumerate(("1", "2", "10")):
        folder = root / "Train_Sets" / "MR" / case
        label, names = organs(seed), [f"IMG-0002-{z + 1:05d}" for z in range(SLICES)]
        write_series(folder / "T2SPIR" / "DICOM_anon", stored_volume(seed), names=[f"{name}.dcm" for name in names])
        write_masks(folder / "T2SPIR" / "Ground", label, [f"{name}.png" for name in names], range(SLICES))
        for offset, phase in enumerate(("OutPhase", "InPhase"), start=1):
            files = [f"IMG-0004-{2 * z + offset:05d}.dcm" for z in range(SLICES)]
            write_series(folder / "T1DUAL" / "DICOM_anon" / phase, stored_volume(10 * offset + seed), names=files)
        pictures = [f"IMG-0004-{2 * z + 2:05d}.png" for z in range(SLICES)]
        write_masks(folder / "T1DUAL" / "Ground", label, pictures, range(SLICES))
    for seed, case in enumerate(("5", "6")):
        folder = root / "Train_Sets" / "CT" / case
        files = [f"i{SLICES - 1 - z:04d},0000b.dcm" for z in range(SLICES)]

        def edit(dataset, z):  # type: ignore[no-untyped-def]
            dataset.RescaleSlope, dataset.RescaleIntercept = 2, -200

        write_series(folder / "DICOM_anon", stored_volume(seed), names=files, edit=edit)
        liver = np.where(organs(seed) == GREYS["liver"], 255, 0).astype(np.uint8)
        pictures = [f"liver_GT_{number:03d}.png" for number in range(SLICES)]
        write_masks(folder / "Ground", liver, pictures, range(SLICES)[::-1])
    return root


@pytest.mark.parametrize("inside", ["", "Train_Sets", "Train_Sets/MR"])
def test_mr_is_found_at_any_height(download: Path, inside: str) -> None:
    volumes = read_chaos_mr(download / inside)
    assert [volume["case_id"] for volume in volumes] == ["1", "2", "10"]
    for volume in volumes:
        assert volume["classes"] == CHAOS_MR_GREYS
        shown = {name: [z for z, area in enumerate(own) if area] for name, own in volume["slice_areas"].items()}
        assert shown == {"liver": [1, 2, 3, 4], "right kidney": [1], "left kidney": [2], "spleen": [3]}
        assert volume["slice_areas"]["spleen"][3] == pytest.approx(1 / 42)


@pytest.mark.parametrize(("sequence", "seed"), [("T2SPIR", 1), ("T1DUAL_OutPhase", 11), ("T1DUAL_InPhase", 21)])
def test_sequences(download: Path, sequence: str, seed: int) -> None:
    (volume,) = read_chaos_mr(download, cases=["2"], sequence=sequence, classes=["spleen"])
    assert list(volume["classes"]) == ["spleen"]
    loaded = LoadVolumed(("image", "label"))(volume)
    np.testing.assert_array_equal(loaded["image"][0].numpy(), stored_volume(seed))
    np.testing.assert_array_equal(loaded["label"][0].numpy(), organs(1))


@pytest.mark.parametrize("inside", ["", "Train_Sets", "Train_Sets/CT"])
def test_ct(download: Path, inside: str) -> None:
    volumes = read_chaos_ct(download / inside)
    assert [volume["case_id"] for volume in volumes] == ["5", "6"]
    assert [z for z, area in enumerate(volumes[0]["slice_areas"]["liver"]) if area] == [1, 2, 3, 4]
    loaded = LoadVolumed(("image", "label"))(volumes[1])
    np.testing.assert_array_equal(loaded["image"][0].numpy(), stored_volume(1) * 2.0 - 200)
    assert torch.equal(loaded["label"][0] == 255, torch.from_numpy(organs(1) == GREYS["liver"]))


def test_one_case(download: Path) -> None:
    assert [volume["case_id"] for volume in read_chaos_ct(download / "Train_Sets" / "CT" / "6")] == ["6"]
    assert [volume["case_id"] for volume in read_chaos_mr(download / "Train_Sets" / "MR" / "10")] == ["10"]


def test_ct_overlay_scales_by_the_window(download: Path, bundle_root: Path) -> None:
    config = ConfigParser()
    config.read_config(bundle_root / "configs" / "data" / "chaos_ct.json")
    config.update({"bundle_root": str(bundle_root), "dataset_dir": str(download)})
    item = config.get_parsed_content("eval_datalist")[0]
    for transform in config.get_parsed_content("volume_transforms"):
        item = transform(item)
    expected = np.clip((stored_volume(0) * 2.0 - 200 + 150) / 400, 0, 1)
    np.testing.assert_allclose(item["image"][0].numpy(), expected, atol=1e-6)


def faults(download: Path, fault: str) -> None:
    mr, ct = download / "Train_Sets" / "MR" / "2" / "T2SPIR", download / "Train_Sets" / "CT" / "6"
    if fault == "no ground truth":
        shutil.rmtree(ct / "Ground")
    elif fault == "picture missing":
        (ct / "Ground" / "liver_GT_002.png").unlink()
    elif fault == "slice missing":
        (mr / "DICOM_anon" / "IMG-0002-00003.dcm").unlink()
        (mr / "Ground" / "IMG-0002-00003.png").unlink()
    elif fault == "grey":
        label = organs(1)
        label[5, 5, 2] = 90
        write_masks(mr / "Ground", label, ["IMG-0002-00003.png"], [2])
    elif fault == "no images":
        shutil.rmtree(mr / "DICOM_anon")
    elif fault == "empty images":
        shutil.rmtree(mr / "DICOM_anon")
        (mr / "DICOM_anon").mkdir()


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("no ground truth", FileNotFoundError, r"6 has no ground truth \(test cases .*expected the folder .*Ground"),
        ("picture missing", ValueError, "Ground has 4 pictures, expected 5"),
        ("slice missing", ValueError, r"1 slice\(s\) missing between .*00002\.dcm and .*00004\.dcm"),
        ("grey", ValueError, r"Ground has unknown label values \[90\]; expected 0, 55-70, 110-135, 175-200, 240-255"),
        ("no images", FileNotFoundError, "T2SPIR has no DICOM files: expected the folder .*DICOM_anon"),
        ("empty images", FileNotFoundError, "DICOM_anon holds no DICOM image"),
    ],
)
def test_faults(download: Path, fault: str, error: type[Exception], message: str) -> None:
    faults(download, fault)
    with pytest.raises(error, match=message):
        (read_chaos_ct if fault in ("no ground truth", "picture missing") else read_chaos_mr)(download)


def test_wrong_choices(download: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no class 'T1'; its classes are T2SPIR, T1DUAL_InPhase"):
        read_chaos_mr(download, sequence="T1")
    with pytest.raises(ValueError, match="no case 7; its cases are 5, 6"):
        read_chaos_ct(download, cases=[7])
    with pytest.raises(ValueError, match="CHAOS CT has no class 'spleen'; its classes are liver"):
        read_chaos_ct(download, classes=["spleen"])
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="none has no CT/<case>/DICOM_anon"):
        read_chaos_ct(tmp_path / "none")
    save_volume(tmp_path / "nifti" / "image_1.nii.gz", np.zeros((2, 2, 2), np.uint8))
    save_volume(tmp_path / "nifti" / "label_1.nii.gz", np.ones((2, 2, 2), np.uint8))
    with pytest.raises(
        ValueError, match="holds converted volumes, which are T2SPIR; T1DUAL_InPhase is in the download"
    ):
        read_chaos_mr(tmp_path / "nifti", sequence="T1DUAL_InPhase")


def test_sample(shared_data: Path) -> None:
    (volume,) = read_chaos_ct(shared_data / "CHAOS_CT_sample")
    assert volume["case_id"] == "CHAOS_CT_sample"
    assert volume["num_slices"] == 78
    assert volume["classes"] == {"liver": [1, 255]}
