# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Results of a DICOM series come back to its grid, voxel by voxel, as NIfTI and as DICOM-SEG."""

from __future__ import annotations

import csv
import logging
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
import torch
from monai.data import DataLoader, Dataset
from pydicom.dataset import FileDataset

from scripts.data.volume_reader import load_volume
from scripts.inferers.propagation import SliceReport
from scripts.transforms import LoadVolumed, SaveResultd

from ..data.dicom_files import (
    AXIAL,
    OBLIQUE,
    SLICES,
    UID,
    affine_of,
    stored_volume,
    write_enhanced,
    write_series,
)

LABEL = np.where(stored_volume(3) % 5 == 4, 0, stored_volume(3) % 5).astype(np.uint8)  # 0 to 3 on the series' grid
NAMES = ("liver", "spleen", "left kidney")
ORIENTATIONS = {
    "axial": AXIAL,
    "oblique": OBLIQUE,
    "coronal": (1.0, 0, 0, 0, 0, -1),
    "head first": (1.0, 0, 0, 0, -1, 0),
}


def segment_and_save(
    image: Path, label: Path, output: Path, *, names: tuple[str, ...] = NAMES, first: int = 1, **options: Any
) -> None:
    """Load, batch, take the label for the result, and save: what an inference does around its network.

    Every label, ``first`` and so on in the order of the names, is reported on slice 1, as inferers report all labels.
    """
    loader = DataLoader(
        Dataset([{"image": str(image), "label": str(label), **options}], LoadVolumed(("image", "label"))), batch_size=1
    )
    for batch in loader:
        slices = [SliceReport(1, first + number, 5, 0.5) for number in range(len(names))]
        result = SimpleNamespace(
            label=batch["label"], probability=batch["label"] / 4, slices=slices, predicted_dice={}, slice_axis=2
        )
        SaveResultd("pred", output, class_names=names)({**batch, "pred": result})


@pytest.fixture(params=ORIENTATIONS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path, np.ndarray]:
    """A series in shuffled files, its label map as NIfTI of the same grid, and the grid's affine."""
    orientation = ORIENTATIONS[request.param]
    names = ["c.dcm", "a.dcm", "e.dcm", "b.dcm", "d.dcm"]
    write_series(tmp_path / "case7", stored_volume(), orientation=orientation, names=names)
    affine = affine_of(orientation)
    nibabel.save(nibabel.Nifti1Image(LABEL, affine), tmp_path / "label.nii.gz")
    return tmp_path / "case7", tmp_path / "label.nii.gz", affine


def test_round_trip(case: tuple[Path, Path, np.ndarray], tmp_path: Path) -> None:
    image, label, affine = case
    segment_and_save(image, label, tmp_path / "out")
    written = nibabel.load(tmp_path / "out" / "case7_seg.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), LABEL)
    np.testing.assert_allclose(written.affine, affine, atol=1e-5)
    assert written.header.get_xyzt_units()[0] == "mm"
    probability = nibabel.load(tmp_path / "out" / "case7_probability.nii.gz")
    np.testing.assert_allclose(probability.get_fdata(), LABEL / 4)

    segmentation = tmp_path / "out" / "case7_seg.dcm"
    read = load_volume(segmentation, is_label=True, image=image)
    expected = load_volume(label, is_label=True)
    assert torch.equal(read.as_tensor(), expected.as_tensor())
    np.testing.assert_allclose(read.affine, expected.affine, atol=1e-4)


def test_other_readers_agree(case: tuple[Path, Path, np.ndarray], tmp_path: Path) -> None:
    image, label, affine = case
    segment_and_save(image, label, tmp_path / "out")
    segmentation = highdicom.seg.segread(tmp_path / "out" / "case7_seg.dcm")
    names = [segmentation.get_segment_description(number).segment_label for number in (1, 2, 3)]
    assert names == ["liver", "spleen", "left kidney"]
    assert segmentation.get_segment_description(2).segmented_property_type.value == "78961009"  # SNOMED CT: spleen
    sources = [pydicom.dcmread(path) for path in sorted(image.iterdir())]
    sources.sort(
        key=lambda one: float(np.cross(*np.reshape(one.ImageOrientationPatient, (2, 3))) @ one.ImagePositionPatient)
    )
    pixels = segmentation.get_pixels_by_source_instance(
        [one.SOPInstanceUID for one in sources], combine_segments=True, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(pixels, LABEL.transpose(2, 1, 0))
    itk = sitk.ReadImage(str(tmp_path / "out" / "case7_seg.nii.gz"))
    point = itk.TransformIndexToPhysicalPoint((3, 2, 1))
    np.testing.assert_allclose(point, (affine @ (3, 2, 1, 1))[:3] * (-1, -1, 1), atol=1e-4)


def test_an_independent_validator_finds_no_error(case: tuple[Path, Path, np.ndarray], tmp_path: Path) -> None:
    validator = shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy is not installed (Debian package dicom3tools)")
    image, label, _ = case
    segment_and_save(image, label, tmp_path / "out")
    command = [validator, "-new", str(tmp_path / "out" / "case7_seg.dcm")]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60).stderr.splitlines()
    assert "Segmentation" in told  # the kind of object that it took the file for
    assert [line for line in told if line.startswith("Error")] == []


def test_attributes_of_the_object(tmp_path: Path) -> None:
    """What a viewer or archive needs to file it beside the series."""
    write_series(tmp_path / "case7", stored_volume())
    nibabel.save(nibabel.Nifti1Image(LABEL, affine_of()), tmp_path / "label.nii.gz")
    segment_and_save(tmp_path / "case7", tmp_path / "label.nii.gz", tmp_path / "out")
    written = pydicom.dcmread(tmp_path / "out" / "case7_seg.dcm")
    assert written.SOPClassUID == pydicom.uid.SegmentationStorage
    assert (written.StudyInstanceUID, written.FrameOfReferenceUID) == (f"{UID}.1", f"{UID}.2")
    assert written.SeriesInstanceUID != f"{UID}.3"
    assert written.PatientID == "7"
    assert written.ReferencedSeriesSequence[0].SeriesInstanceUID == f"{UID}.3"
    assert len(written.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == SLICES
    assert [int(item.SegmentNumber) for item in written.SegmentSequence] == [1, 2, 3]
    assert not list((tmp_path / "out").glob("*.partial*"))


def test_label_values_are_segment_numbers(tmp_path: Path) -> None:
    write_series(tmp_path / "case7", stored_volume())
    label = np.zeros_like(LABEL)
    label[1, 2, 3] = 4
    nibabel.save(nibabel.Nifti1Image(label, affine_of()), tmp_path / "label.nii.gz")
    segment_and_save(tmp_path / "case7", tmp_path / "label.nii.gz", tmp_path / "out", names=("aorta",), first=4)
    read = load_volume(tmp_path / "out" / "case7_seg.dcm", is_label=True, image=tmp_path / "case7")
    np.testing.assert_array_equal(read[0].numpy(), label)  # one frame is left of five slices


def test_one_of_several_series_and_a_multiframe_file(tmp_path: Path) -> None:
    write_series(tmp_path / "case7", stored_volume(1))

    def edit(dataset: FileDataset, z: int) -> None:
        dataset.SeriesInstanceUID = f"{UID}.9"

    write_series(tmp_path / "case7", stored_volume(2)[..., :2], names=["x.dcm", "y.dcm"], edit=edit)
    enhanced = write_enhanced(tmp_path / "e.dcm", stored_volume(), order=(3, 0, 4, 1, 2))
    nibabel.save(nibabel.Nifti1Image(LABEL, affine_of()), tmp_path / "label.nii.gz")
    segment_and_save(tmp_path / "case7", tmp_path / "label.nii.gz", tmp_path / "out", series_uid=f"{UID}.3")
    segment_and_save(enhanced, tmp_path / "label.nii.gz", tmp_path / "out")
    for stem in ("case7", "e"):
        written = nibabel.load(tmp_path / "out" / f"{stem}_seg.nii.gz")
        np.testing.assert_array_equal(np.asarray(written.dataobj), LABEL)


def test_slices_are_counted_along_the_series(tmp_path: Path) -> None:
    """Slices of this series run from head to feet, so slice 1 from the feet is its last but one."""
    write_series(tmp_path / "case7", stored_volume(), orientation=ORIENTATIONS["head first"])
    affine = affine_of(ORIENTATIONS["head first"])
    nibabel.save(nibabel.Nifti1Image(LABEL, affine), tmp_path / "label.nii.gz")
    segment_and_save(tmp_path / "case7", tmp_path / "label.nii.gz", tmp_path / "out")
    with (tmp_path / "out" / "case7_slices.csv").open() as file:
        assert [(row["slice"], row["label"]) for row in csv.DictReader(file)] == [("3", "1"), ("3", "2"), ("3", "3")]


def test_a_series_that_nothing_can_refer_to(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def edit(dataset: FileDataset, z: int) -> None:
        del dataset.StudyInstanceUID

    write_series(tmp_path / "case7", stored_volume(), edit=edit)
    nibabel.save(nibabel.Nifti1Image(LABEL, affine_of()), tmp_path / "label.nii.gz")
    with caplog.at_level(logging.WARNING):
        segment_and_save(tmp_path / "case7", tmp_path / "label.nii.gz", tmp_path / "out")
    assert "IM000.dcm has no StudyInstanceUID, which a DICOM-SEG refers to" in caplog.text
    assert (tmp_path / "out" / "case7_seg.nii.gz").is_file()
    assert not (tmp_path / "out" / "case7_seg.dcm").exists()


def test_an_empty_result(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_series(tmp_path / "case7", stored_volume())
    nibabel.save(nibabel.Nifti1Image(np.zeros_like(LABEL), affine_of()), tmp_path / "label.nii.gz")
    segment_and_save(tmp_path / "case7", tmp_path / "label.nii.gz", tmp_path / "out")
    assert "a DICOM-SEG holds labels from 1 to 254, got 0 to 0" in caplog.text
    assert not np.asarray(nibabel.load(tmp_path / "out" / "case7_seg.nii.gz").dataobj).any()
