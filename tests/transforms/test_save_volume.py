# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A volume comes back to its file's grid voxel by voxel."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from scripts.data.volume_reader import load_volume
from scripts.transforms.save_volume import canonical_axis_in_file, save_like, volume_stem

OBLIQUE = np.array([[0.0, -1.2, 0.3, 4.0], [-1.1, 0.1, 0.2, -7.0], [0.1, 0.2, 3.0, 11.0], [0, 0, 0, 1]])
AFFINES = {
    "RAS": np.diag([1.0, 2.0, 3.0, 1.0]),
    "LAS": np.diag([-1.25, 1.25, 7.7, 1.0]),
    "LPS": np.diag([-1.0, -1.0, 2.0, 1.0]),
    "PSR": np.array([[0, 0, 2.0, 1], [-1.0, 0, 0, 5], [0, 1.5, 0, -3], [0, 0, 0, 1]]),
    "oblique": OBLIQUE,
}


@pytest.mark.parametrize("name", AFFINES)
def test_round_trip(tmp_path: Path, name: str) -> None:
    values = np.random.default_rng(0).integers(0, 5, (4, 5, 6)).astype(np.uint8)
    source = tmp_path / "volume.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, AFFINES[name]), source)
    canonical = load_volume(source, is_label=True)
    written = save_like(source, canonical[0].numpy(), tmp_path / "out.nii.gz")
    loaded = nibabel.load(written)
    assert np.array_equal(np.asarray(loaded.dataobj), values)
    assert loaded.get_data_dtype() == np.uint8
    assert np.array_equal(loaded.affine, nibabel.load(source).affine)
    assert np.allclose(loaded.affine, AFFINES[name], atol=1e-6)


@pytest.mark.parametrize("name", AFFINES)
def test_axis_in_the_file(tmp_path: Path, name: str) -> None:
    source = tmp_path / "volume.nii.gz"
    values = np.zeros((4, 5, 6), np.uint8)
    nibabel.save(nibabel.Nifti1Image(values, AFFINES[name]), source)
    canonical = np.zeros(load_volume(source).shape[1:], np.uint8)
    for axis in range(3):
        marked = canonical.copy()
        np.moveaxis(marked, axis, 0)[1] = 1
        save_like(source, marked, tmp_path / "out.nii.gz")
        found = np.asarray(nibabel.load(tmp_path / "out.nii.gz").dataobj)
        file_axis, is_reversed = canonical_axis_in_file(source, axis)
        index = found.shape[file_axis] - 2 if is_reversed else 1
        assert np.moveaxis(found, file_axis, 0)[index].all()
        assert found.sum() == marked.sum()


def test_scaled_source_and_types(tmp_path: Path) -> None:
    source = tmp_path / "scaled.nii"
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(0.5, -100)
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, source)
    label = np.zeros((2, 3, 4), np.int64)
    label[0, 0, 0] = 300
    loaded = nibabel.load(save_like(source, label, tmp_path / "label.nii.gz"))
    assert loaded.get_data_dtype() == np.uint16
    assert sorted(np.unique(np.asarray(loaded.dataobj))) == [0, 300]
    assert loaded.header.get_xyzt_units() == ("mm", "sec")
    probability = save_like(source, np.full((2, 3, 4), 0.25, np.float16), tmp_path / "probability.nii.gz")
    assert np.allclose(nibabel.load(probability).get_fdata(), 0.25)


def test_errors(tmp_path: Path) -> None:
    source = tmp_path / "volume.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.eye(4)), source)
    with pytest.raises(ValueError, match=r"does not fit the grid \(2, 3, 4\) of .*volume.nii.gz"):
        save_like(source, np.zeros((4, 3, 2), np.uint8), tmp_path / "out.nii.gz")
    with pytest.raises(ValueError, match="between 0 and 65535"):
        save_like(source, np.full((2, 3, 4), -1), tmp_path / "out.nii.gz")
    assert not (tmp_path / "out.nii.gz").exists()
    assert [volume_stem(name) for name in ("a/b.nii.gz", "c.nii", "d.dcm")] == ["b", "c", "d"]


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("codes", [(1, 1), (0, 2), (3, 0), (0, 0)])
def test_geometry_is_taken_over_and_nothing_else(tmp_path: Path, kind: type, codes: tuple[int, int]) -> None:
    image = kind(np.zeros((4, 5, 6), np.int16), OBLIQUE)
    header = image.header
    header.set_qform(OBLIQUE, codes[0])
    header.set_sform(OBLIQUE, codes[1])
    header["cal_min"], header["cal_max"], header["slice_duration"], header["toffset"] = 100, 2000, 0.1, 7
    header["descrip"], header["aux_file"], header["slice_code"] = b"Doe^Jane 1960", b"/home/doe/jane.nii", 1
    header.set_intent("z score", name="Doe")
    header.set_dim_info(0, 1, 2)
    header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"PatientName=Doe^Jane"))
    source = tmp_path / "jane.nii.gz"
    nibabel.save(image, source)
    canonical = np.zeros(load_volume(source).shape[1:], np.uint8)
    written = nibabel.load(save_like(source, canonical, tmp_path / "out.nii.gz"))
    first = nibabel.load(source).header
    for name in ("qform_code", "sform_code", "quatern_b", "qoffset_x", "srow_x", "srow_y", "xyzt_units"):
        assert np.array_equal(written.header[name], first[name])
    assert np.array_equal(written.header["pixdim"][:4], first["pixdim"][:4])
    assert type(written) is kind
    assert written.header.get_intent()[0] == "none"
    assert (float(written.header["cal_max"]), float(written.header["toffset"])) == (0, 0)
    assert not written.header.extensions
    content = written.header.binaryblock
    assert b"oe" not in content
    assert b"jane" not in content
    assert bytes(written.header["descrip"].item()).startswith(b"CD-TG bundle 0.")
