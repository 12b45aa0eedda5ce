# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What an inference is asked to segment: NIfTI files, DICOM folders, or a folder of either."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.data.inference_items import inference_items, require_items

from .conftest import save_volume
from .dicom_files import stored_volume, write_series


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two NIfTI files, two DICOM cases, and things that are no volumes."""
    for name in ("case_10.nii.gz", "case_2.nii"):
        save_volume(tmp_path / name, np.zeros((2, 3, 4), np.uint8))
    for name in ("case_3", "case_11"):
        write_series(tmp_path / name, stored_volume(slices=2))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes.txt").write_text("no volume")
    return tmp_path


def test_a_folder_of_volumes(folder: Path) -> None:
    items = inference_items(None, dataset_dir=folder)
    assert [Path(item["image"]).name for item in items] == ["case_2.nii", "case_3", "case_10.nii.gz", "case_11"]
    assert inference_items(None, dataset_dir=folder / "case_3") == [{"image": str(folder / "case_3")}]


def test_named_volumes(folder: Path) -> None:
    images = [folder / "case_2.nii", folder / "case_3", folder / "case_11" / "IM000.dcm"]
    assert [item["image"] for item in inference_items(images)] == [str(image) for image in images]
    annotation = str(folder / "case_10.nii.gz")
    assert inference_items(str(folder / "case_3"), annotation, series_uid="1.2") == [
        {"image": str(folder / "case_3"), "annotation": annotation, "series_uid": "1.2"}
    ]
    assert inference_items(None) == []


@pytest.mark.parametrize(
    ("image", "annotation", "error", "message"),
    [
        ("none.nii.gz", None, FileNotFoundError, r"image .*none\.nii\.gz does not exist"),
        ("notes.txt", None, ValueError, r"image .*notes\.txt is not a NIfTI file .*, nor DICOM"),
        ("case_3", "notes.txt", ValueError, r"annotation .*notes\.txt is not a NIfTI file"),
        (["case_2.nii", "case_3"], "case_2.nii", ValueError, "2 images but 1 annotations"),
        (["case_2.nii", "sub/case_2.nii.gz"], None, ValueError, r"case_2\.nii and .*sub/case_2\.nii\.gz have the same"),
    ],
)
def test_faults(folder: Path, image: str | list, annotation: str | None, error: type, message: str) -> None:
    save_volume(folder / "sub" / "case_2.nii.gz", np.zeros((2, 3, 4), np.uint8))
    images = [str(folder / name) for name in ([image] if isinstance(image, str) else image)]
    with pytest.raises(error, match=message):
        inference_items(images, None if annotation is None else str(folder / annotation))


def test_folders_without_volumes(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset_dir .*notes holds no NIfTI file .* and no DICOM series"):
        inference_items(None, dataset_dir=folder / "notes")
    with pytest.raises(FileNotFoundError, match=r"dataset_dir .*absent does not exist"):
        inference_items(None, dataset_dir=folder / "absent")


def test_nothing_to_segment(folder: Path) -> None:
    with pytest.raises(ValueError, match="no image given: name a volume with --image"):
        require_items([])
    with pytest.raises(ValueError, match="no annotation given"):
        require_items([{"image": "a.nii"}], needs_annotation=True)


def test_what_a_desktop_and_an_earlier_run_left_is_passed_over(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("._case_2.nii", ".DS_Store", ".hidden.nii.gz"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    (folder / "__MACOSX").mkdir()
    write_series(folder / "__MACOSX", stored_volume(slices=2))
    for name in ("case_10_seg.nii.gz", "case_2_probability.nii.gz", "case_3_seg.nii.gz", "knee_seg.nii.gz"):
        save_volume(folder / name, np.zeros((2, 3, 4), np.uint8))
    with caplog.at_level("INFO"):
        items = inference_items(None, dataset_dir=folder)
    names = [Path(item["image"]).name for item in items]
    assert names == ["case_2.nii", "case_3", "case_10.nii.gz", "case_11", "knee_seg.nii.gz"]  # of no other volume
    assert "3 results of an earlier run are passed over" in caplog.text
