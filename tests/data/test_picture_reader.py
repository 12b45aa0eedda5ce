# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from monai.data import PILReader
from monai.transforms import LoadImage
from PIL import Image

from scripts.data.picture_reader import IndexReader, PictureReader, picture_size, read_index


def read(path: Path) -> np.ndarray:
    reader = PictureReader()
    return reader.get_data(reader.read(path))[0]


@pytest.fixture
def rows() -> np.ndarray:
    """(3, 5, 3), red rises with the row and green with the column."""
    values = np.zeros((3, 5, 3), np.uint8)
    values[..., 0] = np.arange(3)[:, None] * 100
    values[..., 1] = np.arange(5)[None] * 50
    return values


def test_rows_come_before_columns_where_monai_swaps_them(tmp_path: Path, rows: np.ndarray) -> None:
    Image.fromarray(rows).save(tmp_path / "a.png")
    swapped = PILReader()
    assert swapped.get_data(swapped.read(str(tmp_path / "a.png")))[0].shape == (5, 3, 3)
    assert read(tmp_path / "a.png").shape == (3, 5, 3)
    np.testing.assert_allclose(read(tmp_path / "a.png"), rows / 255, atol=1e-6)


def test_works_as_the_reader_of_load_image(tmp_path: Path, rows: np.ndarray) -> None:
    Image.fromarray(rows).save(tmp_path / "a.png")
    loaded = LoadImage(ensure_channel_first=True)(tmp_path / "a.png", reader=PictureReader())
    assert loaded.shape == (3, 3, 5)
    Image.fromarray(rows[..., 0]).save(tmp_path / "m.png")
    assert LoadImage(ensure_channel_first=True)(tmp_path / "m.png", reader=IndexReader()).shape == (1, 3, 5)


@pytest.mark.parametrize(("mode", "expected"), [("L", 100 / 255), ("RGBA", None), ("P", None), ("LA", 100 / 255)])
def test_every_mode_becomes_rgb(tmp_path: Path, rows: np.ndarray, mode: str, expected: float | None) -> None:
    if mode in ("L", "LA"):
        picture = Image.fromarray(np.full((3, 5), 100, np.uint8)).convert(mode)
    elif mode == "P":
        picture = Image.fromarray((rows[..., 0] // 100).astype(np.uint8))
        picture.putpalette([0, 0, 0, 10, 20, 30, 40, 50, 60])
    else:
        picture = Image.fromarray(rows).convert("RGBA")
        picture.putalpha(7)
    picture.save(tmp_path / "a.png")
    found = read(tmp_path / "a.png")
    assert found.shape == (3, 5, 3)
    assert found.dtype == np.float32
    if expected is not None:
        np.testing.assert_allclose(found, expected, atol=1e-6)
    elif mode == "P":
        np.testing.assert_allclose(found[2, 0] * 255, [40, 50, 60], atol=1e-4)
    else:
        np.testing.assert_allclose(found * 255, rows, atol=1e-4)


def test_sixteen_bits_keep_their_precision(tmp_path: Path) -> None:
    values = np.array([[0, 1, 2], [40000, 65534, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_allclose(read(tmp_path / "a.png")[..., 1], values / 65535, rtol=1e-6)


def test_exif_rotation_is_applied_to_pixels_and_size(tmp_path: Path, rows: np.ndarray) -> None:
    picture = Image.fromarray(np.repeat(np.repeat(rows, 16, 0), 16, 1))
    exif = picture.getexif()
    exif[0x0112] = 6  # turn by 90 degrees to show it upright
    picture.save(tmp_path / "a.jpg", exif=exif, quality=95)
    found = read(tmp_path / "a.jpg")
    assert found.shape == (80, 48, 3)
    assert picture_size(tmp_path / "a.jpg") == (80, 48)
    assert found[4, 40, 0] < 0.1  # the top row, red 0, is at the right now
    assert found[4, 4, 0] > 0.6


def test_palette_mask_is_read_as_index_not_colour(tmp_path: Path) -> None:
    indices = np.array([[0, 1, 15], [20, 255, 3]], np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette([value for index in range(256) for value in (255 - index, 3, index // 2)])
    picture.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_index(tmp_path / "m.png"), indices)
    assert read_index(tmp_path / "m.png").dtype == np.uint8


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "I;16"])
def test_binary_masks_of_any_mode(tmp_path: Path, mode: str) -> None:
    expected = np.array([[0, 255, 0], [255, 255, 0]], np.uint8)
    picture = Image.fromarray(expected.astype(np.uint16)) if mode == "I;16" else Image.fromarray(expected).convert(mode)
    picture.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_index(tmp_path / "m.png"), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("colours", "colour picture"),
        ("wide", "label values from 0 to 300"),
        ("text", "not a readable picture"),
        ("truncated", "not a readable picture"),
        ("missing", "no picture"),
    ],
)
def test_broken_masks_give_an_error_that_names_the_file(
    tmp_path: Path, rows: np.ndarray, content: str, message: str
) -> None:
    path = tmp_path / "mask_7.png"
    if content == "colours":
        Image.fromarray(rows).save(path)
    elif content == "wide":
        Image.fromarray(np.array([[0, 300]], np.uint16)).save(path)
    elif content == "text":
        path.write_text("not a picture")
    elif content == "truncated":
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:600])
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        read_index(path)
    assert "mask_7.png" in str(caught.value)


def test_truncated_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ValueError, match=r"cut\.jpg is not a readable picture"):
        read(path)
