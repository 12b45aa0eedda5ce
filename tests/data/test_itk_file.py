# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""NRRD and MetaImage files are the same volumes as their NIfTI twins; a cropped segmentation goes to its place."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from scripts.data.volume_names import is_volume_file, volume_stem
from scripts.data.volume_reader import check_same_grid, on_grid_of, read_volume
from scripts.transforms import LoadVolumed
from scripts.transforms.save_volume import save_like

AXES = [np.diag([-1.25, 1.25, 7.7, 1.0]), np.diag([1.0, 1.0, 2.0, 1.0])]


def save_itk(path: Path, values: np.ndarray, affine: np.ndarray) -> Path:
    """(X, Y, Z) with an affine in RAS; directions must be at right angles."""
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd", ".seg.nrrd"])
@pytest.mark.parametrize("number", [0, 1])
def test_the_same_volume_as_its_nifti_twin(tmp_path: Path, suffix: str, number: int) -> None:
    values = np.random.default_rng(0).integers(-50, 900, (4, 5, 6)).astype(np.int16)
    twin = tmp_path / "twin.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, AXES[number]), twin)
    path = save_itk(tmp_path / f"v{suffix}", values, AXES[number])
    volume, expected = read_volume(path), read_volume(twin)
    np.testing.assert_array_equal(volume.array, expected.array)
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-6)
    check_same_grid(volume, expected)
    assert is_volume_file(path)
    assert volume_stem(path) == "v"
    written = nibabel.load(save_like(path, (expected.array > 100).astype(np.uint8), tmp_path / "out.nii.gz"))
    np.testing.assert_array_equal(np.asarray(written.dataobj), values > 100)
    np.testing.assert_allclose(written.affine, AXES[number], atol=1e-5)


def test_a_cropped_segmentation_goes_to_its_place(tmp_path: Path) -> None:
    label = np.zeros((8, 9, 7), np.uint8)
    label[2:5, 3:7, 1:4] = 2
    affine = AXES[0]
    image = tmp_path / "v.nii.gz"
    nibabel.save(nibabel.Nifti1Image(label.astype(np.float32), affine), image)
    moved = affine.copy()
    moved[:3, 3] = (affine @ [2, 3, 1, 1])[:3]
    crop = label[2:5, 3:7, 1:4]
    path = save_itk(tmp_path / "s.seg.nrrd", crop, moved)
    loaded = LoadVolumed(("image", "annotation"))({"image": str(image), "annotation": str(path)})
    np.testing.assert_array_equal(loaded["annotation"].numpy(), (loaded["image"].numpy()).astype(np.uint8))
    moved[:3, 3] += 0.6
    shifted = read_volume(save_itk(tmp_path / "t.seg.nrrd", crop, moved), is_label=True)
    with pytest.raises(ValueError, match=r"t\.seg\.nrrd has the shape \(3, 4, 3\) on another grid .* voxels off"):
        on_grid_of(read_volume(image), shifted)
    moved[:3, 3] = (affine @ [6, 3, 1, 1])[:3]
    outside = read_volume(save_itk(tmp_path / "u.seg.nrrd", crop, moved), is_label=True)
    with pytest.raises(ValueError, match=r"u\.seg\.nrrd has labels outside of its image"):
        on_grid_of(read_volume(image), outside)


def test_what_is_no_grey_volume(tmp_path: Path) -> None:
    colours = sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True)
    sitk.WriteImage(colours, str(tmp_path / "c.nrrd"))
    with pytest.raises(ValueError, match=r"c\.nrrd holds 3 values per voxel \(colours"):
        read_volume(tmp_path / "c.nrrd")
    (tmp_path / "b.mha").write_bytes(b"no volume")
    with pytest.raises(ValueError, match=r"b\.mha is not a readable volume"):
        read_volume(tmp_path / "b.mha")
    with pytest.raises(FileNotFoundError, match=r"no volume .*absent\.nrrd"):
        read_volume(tmp_path / "absent.nrrd")
