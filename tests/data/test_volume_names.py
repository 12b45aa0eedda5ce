# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a path is, by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.data.volume_names import (
    is_dicom_source,
    is_nifti_name,
    is_volume_file,
    is_volume_name,
    require_volume,
    volume_stem,
)


@pytest.mark.parametrize(
    ("name", "is_nifti", "is_volume", "stem"),
    [
        ("a.nii", True, True, "a"),
        ("A.B.NII.GZ", True, True, "A.B"),
        ("a.nrrd", False, True, "a"),
        ("a.seg.nrrd", False, True, "a"),
        ("a.mha", False, True, "a"),
        ("a.png", False, False, "a.png"),
        ("a.gz", False, False, "a.gz"),
        ("1.2.840.7", False, False, "1.2.840.7"),
        ("slice.dcm", False, False, "slice"),
    ],
)
def test_names(tmp_path: Path, name: str, is_nifti: bool, is_volume: bool, stem: str) -> None:
    path = tmp_path / name
    assert (is_nifti_name(path), is_volume_name(str(path)), volume_stem(path)) == (is_nifti, is_volume, stem)
    assert not (is_volume and is_dicom_source(path))


def test_a_folder_is_a_series_and_a_text_file_nothing(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("nothing")
    assert is_volume_file(tmp_path)
    assert is_dicom_source(tmp_path)
    assert not is_volume_file(text)


def test_what_is_required_and_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"annotation .*a\.nii\.gz does not exist"):
        require_volume("annotation", tmp_path / "a.nii.gz")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ValueError, match=r"image .*a\.txt is not a NIfTI file"):
        require_volume("image", tmp_path / "a.txt")
    (tmp_path / "b.nii").write_text("")
    require_volume("image", tmp_path / "b.nii")
