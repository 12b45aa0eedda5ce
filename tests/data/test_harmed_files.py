# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Whatever happens to the bytes of a file, it is read, or refused by one ValueError that names it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from scripts.data.picture_reader import PictureReader, picture_size, read_index
from scripts.data.volume_reader import load_volume

from .dicom_files import compress, stored_volume, write_series

HARM = st.tuples(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.one_of(st.just(1.0), st.floats(0, 1)),
)
"""Bytes to replace (relative place, new value), and the share of the file that is kept."""
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def harmed(content: bytes, harm: tuple[list[tuple[float, int]], float], start: int = 0) -> bytes:
    """Bytes before `start` stay as they are."""
    changes, share = harm
    result = bytearray(content)
    for place, value in changes:
        result[start + int(place * (len(content) - start))] = value
    return bytes(result[: start + round(share * (len(content) - start))])


def check(read: Callable[[Path], object], path: Path, named: Path) -> None:
    try:
        read(path)
    except ValueError as error:
        if str(named) not in str(error):
            raise


def encoded(kind: str, values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format=kind)
    return buffer.getvalue()


RNG = np.random.default_rng(0)
PICTURES = {
    "grey.png": encoded("PNG", RNG.integers(0, 9, (20, 30), dtype=np.uint8)),
    "deep.png": encoded("PNG", RNG.integers(0, 65536, (20, 30), dtype=np.uint16)),
    "colour.jpg": encoded("JPEG", RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)),
    "colour.bmp": encoded("BMP", RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)),
    "real.tif": encoded("TIFF", RNG.random((20, 30), dtype=np.float32)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PICTURES)
@QUICK
@given(harm=HARM)
@example(harm=([(0.052734375, 1)], 1.0))  # a TIFF without dimensions, which Pillow tells by a TypeError
def test_pictures(tmp_path: Path, name: str, harm: tuple[list[tuple[float, int]], float]) -> None:
    path = tmp_path / name
    path.write_bytes(harmed(PICTURES[name], harm))
    reader = PictureReader()
    for read in (picture_size, read_index, lambda file: reader.get_data(reader.read(file))):
        check(read, path, path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@QUICK
@given(harm=HARM)
def test_nifti(tmp_path: Path, suffix: str, harm: tuple[list[tuple[float, int]], float]) -> None:
    path = tmp_path / f"v{suffix}"
    nibabel.save(nibabel.Nifti1Image(stored_volume().astype(np.int16), np.diag([1.0, 2, 3, 1])), path)
    path.write_bytes(harmed(path.read_bytes(), harm))
    check(load_volume, path, path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", ["none", "RLE"])
@QUICK
@given(harm=HARM)
def test_dicom(tmp_path: Path, syntax: str, harm: tuple[list[tuple[float, int]], float]) -> None:
    volume = stored_volume(slices=3)
    paths = write_series(tmp_path, volume)
    if syntax != "none":
        for z, path in enumerate(paths):
            compress(path, syntax, np.ascontiguousarray(volume[:, :, z].T))
    paths[1].write_bytes(harmed(paths[1].read_bytes(), harm, start=128))
    check(load_volume, tmp_path, tmp_path)
