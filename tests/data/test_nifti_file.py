# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Files are read by their content: packed or not whatever the name says, and a chosen part of a fourth axis."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.data.nifti_file import channel_of, read_nifti, read_nifti_header
from scripts.data.volume_reader import read_volume
from scripts.transforms import LoadVolumed
from scripts.transforms.source_grid import read_source_grid

VALUES = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
AFFINE = np.diag([-1.5, -1.5, 5, 1])


def plain_bytes(folder: Path, kind: type = nibabel.Nifti1Image, values: np.ndarray = VALUES) -> bytes:
    nibabel.save(kind(values, AFFINE), folder / "plain.nii")
    return (folder / "plain.nii").read_bytes()


@contextmanager
def expected_error(path: Path) -> Iterator[None]:
    """Either nothing is raised, or a ValueError that starts with the file's name."""
    found = None
    try:
        yield
    except ValueError as error:
        found = str(error)
    assert found is None or found.startswith(str(path))


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("name", ["packed.nii", "plain.nii.gz", "packed.NII.GZ", "plain.nii"])
def test_packed_or_not_whatever_the_name(tmp_path: Path, name: str, kind: type) -> None:
    content = plain_bytes(tmp_path, kind)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.startswith("packed") else content)
    array, image = read_nifti(tmp_path / name)
    np.testing.assert_array_equal(array, VALUES)
    assert type(image) is kind
    assert read_nifti_header(tmp_path / name).shape == VALUES.shape
    np.testing.assert_array_equal(read_volume(tmp_path / name).array, VALUES)
    assert read_source_grid(tmp_path / name).shape == VALUES.shape


@pytest.mark.parametrize("content", [b"", b"x", b"\x1f\x8b", b"no volume at all", b"\x89PNG\r\n"])
def test_what_is_no_nifti(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^\S*a\.nii\.gz is not a readable NIfTI volume: "):
        read_volume(path)


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 400), value=st.integers(0, 255), packed=st.booleans(), cut=st.floats(0.2, 1))
def test_harmed_files_are_named(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, packed: bool, cut: float
) -> None:
    folder = tmp_path_factory.mktemp("harmed")
    content = bytearray(plain_bytes(folder))
    content[place] = value
    whole = gzip.compress(bytes(content)) if packed else bytes(content)
    path = folder / "a.nii.gz"
    path.write_bytes(whole[: int(len(whole) * cut)])
    with expected_error(path):
        read_volume(path)


def test_one_part_of_a_fourth_axis(tmp_path: Path) -> None:
    echoes = np.stack([VALUES, VALUES + 100], axis=3)
    path = tmp_path / "echoes.nii.gz"
    nibabel.save(nibabel.Nifti1Image(echoes, AFFINE), path)
    with pytest.raises(ValueError, match=r"echoes\.nii\.gz has the shape \(3, 4, 5, 2\), .*--channel 0"):
        read_volume(path)
    with pytest.raises(ValueError, match=r"echoes\.nii\.gz has the channels 0 to 1, but channel 2"):
        read_volume(path, channel=2)
    for channel in (0, 1):
        np.testing.assert_array_equal(read_volume(path, channel=channel).array, VALUES + 100 * channel)
    chosen = LoadVolumed("image", channel=1)({"image": str(path)})["image"]
    np.testing.assert_array_equal(chosen[0].numpy(), VALUES + 100)
    assert channel_of(VALUES[..., None, None], None, path).shape == VALUES.shape
    assert channel_of(VALUES, 0, path).shape == VALUES.shape


@settings(max_examples=50, deadline=None)
@given(error=st.floats(-9e-4, 9e-4), values=st.lists(st.integers(0, 255), min_size=1, max_size=9))
def test_labels_near_whole_numbers_are_rounded(
    tmp_path_factory: pytest.TempPathFactory, error: float, values: list[int]
) -> None:
    path = tmp_path_factory.mktemp("labels") / "l.nii"
    label = np.array(values, np.float32).reshape(1, 1, -1)
    nibabel.save(nibabel.Nifti1Image(label + np.float32(error), np.eye(4)), path)
    np.testing.assert_array_equal(np.sort(read_volume(path, is_label=True).array.ravel()), np.sort(values))


@pytest.mark.parametrize(
    ("value", "shown"), [(0.99, "0.99"), (2.0017, "2.0017"), (1.5, "1.5"), (-0.2, "-0.2"), (256, "256")]
)
def test_the_numbers_explain_the_refusal(tmp_path: Path, value: float, shown: str) -> None:
    path = tmp_path / "l.nii"
    nibabel.save(nibabel.Nifti1Image(np.full((2, 2, 2), value, np.float32), np.eye(4)), path)
    with pytest.raises(ValueError, match=rf"l\.nii has the label values {shown}\d*; expected whole numbers"):
        read_volume(path, is_label=True)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_image_with_holes_is_named(tmp_path: Path, wrong: float) -> None:
    values = VALUES.astype(np.float32)
    values[0, 0, :2] = wrong
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), tmp_path / "brain.nii.gz")
    with pytest.raises(ValueError, match=r"brain\.nii\.gz has 2 voxels that are NaN or infinite"):
        read_volume(tmp_path / "brain.nii.gz")
