# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CHAOS in the layout of its download."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from scripts.data.readers.chaos_mr import CHAOS_MR_GREYS, read_chaos_mr
from scripts.transforms import LoadVolumed

from ..conftest import save_volume
from ..dicom_files import stored_volume, write_masks
from .conftest import organs


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


def test_one_case(download: Path) -> None:
    assert [volume["case_id"] for volume in read_chaos_mr(download / "Train_Sets" / "MR" / "10")] == ["10"]


def faults(download: Path, fault: str) -> None:
    mr = download / "Train_Sets" / "MR" / "2" / "T2SPIR"
    if fault == "slice missing":
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
        ("slice missing", ValueError, r"1 slice\(s\) missing between .*00002\.dcm and .*00004\.dcm"),
        ("grey", ValueError, r"Ground has unknown label values \[90\]; expected 0, 55-70, 110-135, 175-200, 240-255"),
        ("no images", FileNotFoundError, "T2SPIR has no DICOM files: expected the folder .*DICOM_anon"),
        ("empty images", FileNotFoundError, "DICOM_anon holds no DICOM image"),
    ],
)
def test_faults(download: Path, fault: str, error: type[Exception], message: str) -> None:
    faults(download, fault)
    with pytest.raises(error, match=message):
        read_chaos_mr(download)


def test_wrong_choices(download: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no class 'T1'; its classes are T2SPIR, T1DUAL_InPhase"):
        read_chaos_mr(download, sequence="T1")
    save_volume(tmp_path / "nifti" / "image_1.nii.gz", np.zeros((2, 2, 2), np.uint8))
    save_volume(tmp_path / "nifti" / "label_1.nii.gz", np.ones((2, 2, 2), np.uint8))
    with pytest.raises(
        ValueError, match="holds converted volumes, which are T2SPIR; T1DUAL_InPhase is in the download"
    ):
        read_chaos_mr(tmp_path / "nifti", sequence="T1DUAL_InPhase")
