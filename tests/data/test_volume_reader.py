# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import Orientation
from scipy.spatial.transform import Rotation

from scripts.data.volume_names import is_volume_file, volume_stem
from scripts.data.volume_reader import Volume, check_same_grid, corner_distance, load_volume, read_volume
from scripts.transforms.save_volume import save_like


def save(path: Path, values: np.ndarray, affine: np.ndarray) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


@pytest.mark.parametrize("codes", ["LPS", "RAS", "LAS", "PSR", "IRA"])
def test_any_orientation_becomes_left_back_head(tmp_path: Path, codes: str) -> None:
    canonical = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    affine = np.diag([-2.0, -3.0, 4.0, 1.0])  # axes to the left, back and head in nibabel's RAS world
    image = nibabel.Nifti1Image(canonical, affine)
    target = nibabel.orientations.axcodes2ornt(codes)
    turned = image.as_reoriented(nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt("LPS"), target))
    assert "".join(nibabel.aff2axcodes(turned.affine)) == codes
    nibabel.save(turned, tmp_path / "v.nii.gz")
    volume = load_volume(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(volume[0].numpy(), canonical)
    np.testing.assert_allclose(volume.affine.numpy(), affine)
    assert volume.dtype == torch.float32


OBLIQUE = np.array([[0.0, -1.2, 0.3, 4.0], [-1.1, 0.1, 0.2, -7.0], [0.1, 0.2, 3.0, 11.0], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    "affine", [np.eye(4), np.diag([-1.25, 1.25, 7.7, 1.0]), OBLIQUE, OBLIQUE[:, [2, 0, 1, 3]]], ids=str
)
def test_equals_orientation_of_monai_bit_for_bit(tmp_path: Path, affine: np.ndarray) -> None:
    values = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    path = save(tmp_path / "v.nii.gz", values, affine)
    stored = nibabel.load(path).affine
    meta = {"space": "RAS", "original_affine": stored, "filename_or_obj": str(path)}
    raw = MetaTensor(torch.from_numpy(values[None]), affine=torch.from_numpy(stored), meta=meta)
    expected = Orientation("LPS", labels=(("L", "R"), ("P", "A"), ("I", "S")))(raw)
    found, plain = load_volume(path), read_volume(path)
    assert torch.equal(found.as_tensor(), expected.as_tensor())
    assert found.affine.numpy().tobytes() == expected.affine.numpy().tobytes() == plain.affine.tobytes()
    assert found.stride()[1:] == expected.stride()[1:]
    assert set(found.meta) == set(expected.meta)
    assert found.meta["filename_or_obj"] == str(path)
    np.testing.assert_array_equal(found.meta["original_affine"], stored)
    assert plain.spacing == pytest.approx(expected.pixdim.tolist())


def test_labels_are_whole_numbers_in_uint8(tmp_path: Path) -> None:
    path = save(tmp_path / "l.nii.gz", np.array([0.0, 1, 4, 255]).reshape(2, 2, 1), np.eye(4))
    label = load_volume(path, is_label=True)
    assert label.dtype == torch.uint8
    assert sorted(label.unique().tolist()) == [0, 1, 4, 255]


def test_trailing_axis_of_one_is_dropped(tmp_path: Path) -> None:
    path = save(tmp_path / "v.nii.gz", np.zeros((2, 3, 4, 1), np.float32), np.eye(4))
    assert load_volume(path).shape == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("content", "is_label", "message"),
    [
        ("text", False, "not a readable NIfTI"),
        ("cut", False, "not a readable NIfTI"),
        ("empty", False, "not a readable NIfTI"),
        ("4d", False, r"shape \(2, 2, 2, 3\), expected a 3D volume"),
        ("fraction", True, "label values 0.5"),
        ("negative", True, "label values -1"),
        ("large", True, "label values 300"),
    ],
)
def test_malformed_volumes_name_the_file(tmp_path: Path, content: str, is_label: bool, message: str) -> None:
    path = tmp_path / "case_9.nii.gz"
    if content == "text":
        path.write_text("not a volume")
    elif content == "empty":
        path.write_bytes(b"")
    elif content == "cut":
        save(path, np.random.default_rng(0).normal(size=(20, 20, 20)), np.eye(4))
        path.write_bytes(path.read_bytes()[:5000])
    elif content == "4d":
        save(path, np.zeros((2, 2, 2, 3), np.float32), np.eye(4))
    else:
        value = {"fraction": 0.5, "negative": -1.0, "large": 300.0}[content]
        save(path, np.full((2, 2, 2), value, np.float32), np.eye(4))
    with pytest.raises(ValueError, match=message) as caught:
        load_volume(path, is_label=is_label)
    assert "case_9.nii.gz" in str(caught.value)


@pytest.mark.parametrize("kept", [-1, -8])
def test_a_compressed_volume_is_read_to_its_end(tmp_path: Path, kept: int) -> None:
    path = save(tmp_path / "v.nii.gz", np.random.default_rng(0).normal(size=(9, 9, 9)), np.eye(4))
    content = path.read_bytes()
    path.write_bytes(content[:kept])
    with pytest.raises(ValueError, match=r"v\.nii\.gz is not a readable NIfTI volume: Compressed file ended before"):
        load_volume(path)
    path.write_bytes(content[:-8] + b"\0\0\0\0" + content[-4:])
    with pytest.raises(ValueError, match=r"v\.nii\.gz is not a readable NIfTI volume: CRC check failed"):
        load_volume(path)


def test_names_in_upper_case(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    path = save(tmp_path / "v.nii.gz", values, np.eye(4)).rename(tmp_path / "V.NII.GZ")
    assert is_volume_file(path)
    assert volume_stem(path) == "V"
    assert load_volume(path).shape == (1, 2, 3, 4)


def test_the_sform_counts_where_the_qform_disagrees(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    image = nibabel.Nifti1Image(values, None)
    image.set_sform(np.diag([2.0, 2, 3, 1]), code=2)
    image.set_qform(np.diag([-2.0, 2, 5, 1]), code=1)
    nibabel.save(image, tmp_path / "v.nii.gz")
    volume = load_volume(tmp_path / "v.nii.gz", is_label=True)
    assert volume.pixdim.tolist() == [2, 2, 3]
    assert "v.nii.gz: sform and qform differ by up to" in caplog.text
    np.testing.assert_array_equal(volume[0].numpy(), values[::-1, ::-1])
    written = nibabel.load(save_like(tmp_path / "v.nii.gz", volume[0].numpy(), tmp_path / "out.nii.gz"))
    np.testing.assert_array_equal(np.asarray(written.dataobj), values)
    np.testing.assert_array_equal(written.get_sform(), image.get_sform())
    np.testing.assert_array_equal(written.get_qform(), image.get_qform())


@pytest.mark.parametrize("shape", [(2, 3), (0, 3, 3), (2, 3, 4, 3)])
def test_other_shapes_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = save(tmp_path / "v.nii", np.zeros(shape, np.float32), np.eye(4))
    with pytest.raises(ValueError, match=r"v\.nii has the shape .*, expected a 3D volume"):
        load_volume(path)


def test_gzip_of_garbage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.nii.gz"
    path.write_bytes(gzip.compress(b"\0" * 400))
    with pytest.raises(ValueError, match=r"g\.nii\.gz is not a readable NIfTI"):
        load_volume(path)


def test_unusable_affine_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.float32), np.eye(4))
    image.header.set_sform(np.eye(4), code=1)
    nibabel.save(image, path)
    content = bytearray(path.read_bytes())
    content[280:328] = bytes(48)  # the affine of the NIfTI-1 header
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.nii has an affine that is not invertible"):
        load_volume(path)


@pytest.mark.parametrize("dtype", [[("R", "u1"), ("G", "u1"), ("B", "u1")], np.complex64])
def test_colours_and_complex_numbers_are_refused(tmp_path: Path, dtype: Any) -> None:
    path = save(tmp_path / "c.nii.gz", np.zeros((2, 3, 4), dtype), np.eye(4))
    with pytest.raises(ValueError, match=r"c\.nii\.gz holds colours or complex numbers"):
        load_volume(path)


def test_missing_volume(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no volume .*x\.nii\.gz"):
        load_volume(tmp_path / "x.nii.gz")


def test_grids_must_agree(tmp_path: Path) -> None:
    image = read_volume(save(tmp_path / "i.nii.gz", np.zeros((2, 3, 4), np.float32), np.eye(4)))
    other = read_volume(save(tmp_path / "o.nii.gz", np.zeros((2, 3, 5), np.float32), np.eye(4)))
    shifted = read_volume(save(tmp_path / "s.nii.gz", np.zeros((2, 3, 4), np.float32), np.diag([1, 1, 2.5, 1])))
    check_same_grid(image, image)
    with pytest.raises(ValueError, match=r"i\.nii\.gz.*o\.nii\.gz have different shapes: \(2, 3, 4\) and \(2, 3, 5\)"):
        check_same_grid(image, other)
    with pytest.raises(
        ValueError, match=r"different affines: their corners lie up to 6 mm apart, expected at most 0\.1 mm"
    ):
        check_same_grid(image, shifted)
    check_same_grid(image, shifted, tolerance=7)


@settings(max_examples=60, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    shift=st.tuples(*[st.floats(-2000, 2000)] * 3),
    side=st.floats(0.3, 4),
    scale=st.floats(0.97, 1.03),
    moved=st.floats(0, 1),
)
def test_corners_decide_not_entries(
    angles: tuple[float, ...], shift: tuple[float, ...], side: float, scale: float, moved: float
) -> None:
    """Half a voxel counts the same on an oblique grid far from the origin; a small scale is large at the far end."""
    shape = (400, 20, 5)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * side
    affine[:3, 3] = shift
    other = affine.copy()
    other[:3, 0] *= scale
    other[:3, 3] += affine[:3, 1] * moved
    image = Volume(np.zeros(shape, np.float32), affine, "i.nii", affine)
    label = Volume(np.zeros(shape, np.uint8), other, "l.nii", other)
    apart = max(moved, np.hypot(400 * abs(scale - 1), moved)) * side
    assert corner_distance(affine, other, shape) == pytest.approx(apart, abs=1e-6)
    if apart < 0.0999 * side:
        check_same_grid(image, label)
    elif apart > 0.1001 * side:
        with pytest.raises(ValueError, match="different affines"):
            check_same_grid(image, label)
