# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A series is read by position, whatever its files are called, and in real values, however they are packed."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from pydicom.dataset import FileDataset
from pydicom.uid import BasicTextSRStorage

from scripts.data.dicom.series import find_series
from scripts.data.volume_reader import load_volume
from scripts.transforms import LoadItemd, LoadVolumed

from ..dicom_files import (
    AXIAL,
    OBLIQUE,
    SLICES,
    STEP,
    UID,
    affine_of,
    normal,
    stored_volume,
    write_enhanced,
    write_series,
)

NAMES = {
    "in order": [f"IM{z}.dcm" for z in range(SLICES)],
    "reversed": [f"IM{SLICES - z}.dcm" for z in range(SLICES)],
    "shuffled": ["c.dcm", "a.dcm", "e.dcm", "b.dcm", "d.dcm"],
    "no suffix": ["IM3", "IM1", "IM4", "IM0", "IM2"],
}
CORONAL = (1.0, 0, 0, 0, 0, -1)
SAGITTAL_BACKWARDS = (0.0, -1, 0, 0, 0, -1)


def canonical(volume: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By nibabel: the array and affine with axes to the left, back and head."""
    import nibabel

    target = nibabel.orientations.axcodes2ornt("LPS")
    image = nibabel.Nifti1Image(volume.astype(np.float32), affine)
    turned = image.as_reoriented(
        nibabel.orientations.ornt_transform(nibabel.orientations.io_orientation(affine), target)
    )
    return np.asarray(turned.dataobj), turned.affine


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE, CORONAL, SAGITTAL_BACKWARDS])
def test_sorted_by_position(tmp_path: Path, names: str, orientation: tuple[float, ...]) -> None:
    stored = stored_volume()
    write_series(tmp_path / "series", stored, orientation=orientation, names=NAMES[names])
    series = find_series(tmp_path / "series")
    assert [path.name for path in series.files] == NAMES[names]
    assert series.shape == stored.shape
    np.testing.assert_allclose(series.affine, affine_of(orientation), atol=1e-6)
    volume = load_volume(tmp_path / "series")
    array, affine = canonical(stored, affine_of(orientation))
    np.testing.assert_array_equal(volume[0].numpy(), array)
    np.testing.assert_allclose(volume.affine.numpy(), affine, atol=1e-5)
    assert volume.dtype == torch.float32
    assert volume.meta["series_uid"] == f"{UID}.3"


def test_spacing_is_that_of_the_positions(tmp_path: Path) -> None:
    write_series(tmp_path, stored_volume(), orientation=OBLIQUE)
    spacing = load_volume(tmp_path).affine[:3, :3].norm(dim=0)
    np.testing.assert_allclose(spacing.numpy(), (0.6, 0.8, STEP), atol=1e-6)


def test_enhanced_multiframe(tmp_path: Path) -> None:
    stored = stored_volume()
    path = write_enhanced(tmp_path / "enhanced.dcm", stored, order=(3, 0, 4, 1, 2))
    for source in (path, tmp_path):
        volume = load_volume(source)
        np.testing.assert_array_equal(volume[0].numpy(), stored - (1000.0 + np.arange(SLICES)))
        np.testing.assert_allclose(volume.affine.numpy(), affine_of(), atol=1e-6)


def test_several_series_are_listed_and_chosen(tmp_path: Path) -> None:
    first, second = stored_volume(1), stored_volume(2, slices=3)
    write_series(tmp_path, first)

    def edit(dataset: FileDataset, z: int) -> None:
        dataset.SeriesInstanceUID, dataset.SeriesDescription = f"{UID}.9", "arterial"

    files = write_series(tmp_path, second, names=["x.dcm", "y.dcm", "z.dcm"], edit=edit)
    with pytest.raises(ValueError, match="holds 2 series; choose one by series_uid") as caught:
        load_volume(tmp_path)
    for part in (f"{UID}.3 ('portal venous', CT, 5 slices)", f"{UID}.9 ('arterial', CT, 3 slices)", str(tmp_path)):
        assert part in str(caught.value)
    np.testing.assert_array_equal(load_volume(tmp_path, series_uid=f"{UID}.3")[0].numpy(), first)
    np.testing.assert_array_equal(load_volume(tmp_path, series_uid=f"{UID}.9")[0].numpy(), second)
    np.testing.assert_array_equal(load_volume(files[1])[0].numpy(), second)  # by one of its files
    with pytest.raises(ValueError, match=r"has no series 1\.2; it holds"):
        load_volume(tmp_path, series_uid="1.2")
    with pytest.raises(ValueError, match=r"y\.dcm belongs to the series .*\.9, not to the chosen"):
        load_volume(files[1], series_uid=f"{UID}.3")


def test_slices_of_a_chosen_series(tmp_path: Path) -> None:
    first, second = stored_volume(1), stored_volume(2)
    write_series(tmp_path, first)

    def edit(dataset: FileDataset, z: int) -> None:
        dataset.SeriesInstanceUID = f"{UID}.9"

    write_series(tmp_path, second, names=[f"{z}.dcm" for z in "uvwxy"], edit=edit)
    load = LoadItemd("image", volume_transforms=[LoadVolumed("image")])
    for series, stored in ((f"{UID}.3", first), (f"{UID}.9", second)):
        item = load({"image": str(tmp_path), "series_uid": series, "slice": 2})
        assert torch.equal(item["image"][0], torch.from_numpy(stored[..., 2].T.astype(np.float32)))
        assert item["series_uid"] == series


def test_files_that_are_no_slices_are_left_out(tmp_path: Path) -> None:
    stored = stored_volume()
    write_series(tmp_path, stored)
    (tmp_path / "readme.txt").write_text("no image")
    (tmp_path / ".hidden.dcm").write_text("no image")

    def edit(dataset: FileDataset, z: int) -> None:
        dataset.Modality, dataset.SOPClassUID = "SR", BasicTextSRStorage

    write_series(tmp_path, stored[:, :, :1], names=["report.dcm"], edit=edit)
    np.testing.assert_array_equal(load_volume(tmp_path)[0].numpy(), stored)


def test_single_slice_takes_its_thickness(tmp_path: Path) -> None:
    write_series(tmp_path, stored_volume(slices=1))
    assert load_volume(tmp_path).affine[2, 2] == 9


def test_tilted_gantry_gives_a_sheared_grid(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def edit(dataset: FileDataset, z: int) -> None:
        dataset.ImagePositionPatient[1] = float(dataset.ImagePositionPatient[1]) + 0.5 * z

    write_series(tmp_path, stored_volume(), edit=edit)
    with caplog.at_level(logging.WARNING):
        volume = load_volume(tmp_path)
    assert "sheared" in caplog.text
    np.testing.assert_allclose(volume.affine[:3, 2].numpy(), (0, -0.5, STEP), atol=1e-9)


def test_rounded_positions_are_no_gap(tmp_path: Path) -> None:
    def edit(dataset: FileDataset, z: int) -> None:
        position = np.asarray(dataset.ImagePositionPatient, float) + normal() * 0.03 * (-1) ** z
        dataset.ImagePositionPatient = position.tolist()

    write_series(tmp_path, stored_volume(), edit=edit)
    assert load_volume(tmp_path).shape == (1, 7, 6, SLICES)


def test_sample_series(shared_data: Path) -> None:
    series = find_series(shared_data / "CHAOS_CT_sample" / "DICOM_anon")
    assert series.shape == (512, 512, 78)
    assert series.affine[:, 2].tolist() == [0, 0, 2, 0]  # 3.2 mm thick, 2 mm apart
    assert (series.files[0].name, series.files[-1].name) == ("i0077,0000b.dcm", "i0000,0000b.dcm")
