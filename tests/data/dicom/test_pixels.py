# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Pixels in real values, however they are packed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1

from scripts.data.dicom.pixels import read_pixels
from scripts.data.dicom.series import find_series

from ..dicom_files import SLICES, compress, stored_volume, write_enhanced, write_series


def test_rescale_per_slice(tmp_path: Path) -> None:
    stored = stored_volume()

    def edit(dataset: FileDataset, z: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 + z, -1000

    write_series(tmp_path, stored, edit=edit)
    expected = stored * (0.5 + np.arange(SLICES)) - 1000
    np.testing.assert_array_equal(read_pixels(find_series(tmp_path)), expected.astype(np.float32))


@pytest.mark.parametrize("syntax", ["JPEG2000", "JPEG", "JPEG-LS", "RLE", "deflated"])
@pytest.mark.parametrize("is_signed", [False, True])
def test_compressed_pixels(tmp_path: Path, syntax: str, is_signed: bool) -> None:
    stored = np.random.default_rng(0).integers(0, 4000, (70, 64, 3))  # encoders refuse tiny pictures
    stored = (stored - 1000).astype(np.int16) if is_signed else stored.astype(np.uint16)

    def edit(dataset: FileDataset, z: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 2, -7.5

    for z, path in enumerate(write_series(tmp_path, stored, edit=edit)):
        compress(path, syntax, np.ascontiguousarray(stored[:, :, z].T))
    kind = {"JPEG2000": JPEG2000Lossless, "JPEG": JPEGLosslessSV1}.get(syntax)
    if kind is not None:
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == kind
    np.testing.assert_array_equal(read_pixels(find_series(tmp_path)), stored * 2.0 - 7.5)


def test_axes_are_columns_rows_and_slices(tmp_path: Path) -> None:
    stored = stored_volume()
    write_series(tmp_path, stored)
    pixels = read_pixels(find_series(tmp_path))
    assert pixels.shape == (7, 6, SLICES)
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels, stored)


def test_frames_of_one_file_have_their_own_rescale(tmp_path: Path) -> None:
    stored = stored_volume()
    path = write_enhanced(tmp_path / "enhanced.dcm", stored, order=(3, 0, 4, 1, 2))
    np.testing.assert_array_equal(read_pixels(find_series(path)), stored - (1000.0 + np.arange(SLICES)))


def test_signed_pixels_keep_their_sign(tmp_path: Path) -> None:
    stored = np.array([[[-1024]], [[-1]], [[3071]]], np.int16)
    write_series(tmp_path, stored)
    assert read_pixels(find_series(tmp_path)).ravel().tolist() == [-1024, -1, 3071]


def without_pixels(dataset: FileDataset) -> None:
    del dataset.PixelData


def empty_pixels(dataset: FileDataset) -> None:
    dataset.PixelData = b""


def too_few_pixels(dataset: FileDataset) -> None:
    dataset.PixelData = dataset.PixelData[:-10]


def no_compression(dataset: FileDataset) -> None:
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = encapsulate([dataset.PixelData])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (without_pixels, r"b\.dcm has no PixelData \(cut short\?\), expected an image"),
        (empty_pixels, r"b\.dcm has no PixelData"),
        (too_few_pixels, r"b\.dcm has pixels \(Explicit VR Little Endian\) that can't be decoded: "),
        (no_compression, r"b\.dcm has pixels \(JPEG 2000 .*\) that can't be decoded: "),
    ],
)
def test_errors_name_the_file(tmp_path: Path, harm, message: str) -> None:
    path = write_series(tmp_path, stored_volume(slices=3), names=["a.dcm", "b.dcm", "c.dcm"])[1]
    series = find_series(tmp_path)
    dataset = pydicom.dcmread(path)
    harm(dataset)
    dataset.save_as(path)
    with pytest.raises(ValueError, match=message) as caught:
        read_pixels(series)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_file_that_changed_its_size_is_an_error(tmp_path: Path) -> None:
    write_series(tmp_path, stored_volume(slices=3))
    series = find_series(tmp_path)
    write_series(tmp_path, stored_volume(slices=3)[:5])
    with pytest.raises(ValueError, match=r"has pixels of the shape \(6, 5\), expected \(6, 7\)"):
        read_pixels(series)
