# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""DICOM-SEG files of other programs: kinds of segmentation, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from scripts.data.volume_reader import load_volume

from ..dicom_files import STEP, stored_volume, write_series

LABEL = (stored_volume(3) % 3).astype(np.uint8)


def write_segmentation(path: Path, files: Sequence[Path], pixels: np.ndarray, kind: str = "BINARY") -> Path:
    """`pixels`: (slices, rows, columns) label map, or with a last axis of segments."""
    sources = [pydicom.dcmread(file) for file in files]
    for source in sources:
        for name in ("PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
            setattr(source, name, "")
        source.AccessionNumber = source.ReferringPhysicianName = ""
    segments = [
        highdicom.seg.SegmentDescription(
            number, f"s{number}", codes.SCT.Tissue, codes.SCT.Tissue, highdicom.seg.SegmentAlgorithmTypeValues.MANUAL
        )
        for number in (1, 2)
    ]
    segmentation = highdicom.seg.Segmentation(
        *(sources, pixels, kind, segments, highdicom.UID(), 1, highdicom.UID(), 1, "maker", "model", "1", "0")
    )
    segmentation.save_as(path)
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_series(tmp_path / "series", stored_volume(), names=[f"{9 - z}.dcm" for z in range(5)])


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_kinds(files: list[Path], tmp_path: Path, kind: str) -> None:
    path = write_segmentation(tmp_path / "seg.dcm", files, LABEL.transpose(2, 1, 0), kind)
    read = load_volume(path, is_label=True, image=tmp_path / "series")
    np.testing.assert_array_equal(read[0].numpy(), LABEL)


def damage(path: Path, edit: Callable[[Dataset], Any]) -> None:
    dataset = pydicom.dcmread(path)
    edit(dataset)
    dataset.save_as(path)


def shift(dataset: Dataset) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        position = list(group.PlanePositionSequence[0].ImagePositionPatient)
        group.PlanePositionSequence[0].ImagePositionPatient = [*position[:2], float(position[2]) + STEP / 2]


def spread(dataset: Dataset) -> None:
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [2, 2]


def nowhere(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence


def number_300(dataset: Dataset) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        group.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 300


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (shift, r"seg\.dcm, frame 1, at .* is on no slice of the series of .*\.dcm; expected the grid"),
        (spread, r"seg\.dcm, frame 1, at .* is on no slice"),
        (nowhere, r"seg\.dcm, frame 1, says nowhere where it lies"),
        (lambda dataset: dataset.PerFrameFunctionalGroupsSequence.pop(), r"seg\.dcm has 10 frames but .* for 9"),
        (lambda dataset: dataset.__delitem__("PixelData"), r"seg\.dcm is not a readable DICOM segmentation"),
        (number_300, r"seg\.dcm has the segment 300, expected numbers from 1 to 254"),
    ],
)
def test_faults(files: list[Path], tmp_path: Path, edit: Callable[[Dataset], Any], message: str) -> None:
    path = write_segmentation(tmp_path / "seg.dcm", files, LABEL.transpose(2, 1, 0))
    damage(path, edit)
    with pytest.raises(ValueError, match=message):
        load_volume(path, is_label=True, image=tmp_path / "series")


def test_overlapping_segments(files: list[Path], tmp_path: Path) -> None:
    pixels = np.zeros((5, 6, 7, 2), np.uint8)
    pixels[2, 3, 4] = 1
    path = write_segmentation(tmp_path / "seg.dcm", files, pixels)
    with pytest.raises(ValueError, match=r"seg\.dcm has segments that overlap \(frame 2\)"):
        load_volume(path, is_label=True, image=tmp_path / "series")


def test_other_size_and_no_image(files: list[Path], tmp_path: Path) -> None:
    path = write_segmentation(tmp_path / "seg.dcm", files, LABEL.transpose(2, 1, 0))
    write_series(tmp_path / "small", stored_volume()[:4])
    with pytest.raises(ValueError, match=r"seg\.dcm has frames of 6 x 7 pixels .*expected 6 x 4"):
        load_volume(path, is_label=True, image=tmp_path / "small")
    with pytest.raises(ValueError, match=r"seg\.dcm can only be read with the DICOM series of its image, got .*None"):
        load_volume(path, is_label=True)
    with pytest.raises(ValueError, match=r"seg\.dcm is a DICOM file without an image"):
        load_volume(path)
