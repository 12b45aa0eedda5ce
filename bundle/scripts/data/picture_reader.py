# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Pictures and index masks as (H, W) arrays, for MONAI's ``LoadImage``.

MONAI's ``PILReader`` swaps the axes by default, shows palette masks as colours after a conversion and knows no EXIF
rotation; these two readers give rows before columns, upright, and either a picture in [0, 1] or a mask of indices.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.data.image_reader import PILReader
from monai.utils.enums import MetaKeys
from PIL import Image, ImageOps

__all__ = ["IndexReader", "PictureReader", "picture_size", "read_index"]

_EXIF_ORIENTATION = 0x0112
_QUARTER_TURNS = (5, 6, 7, 8)
# What Pillow raises at a broken file, some of it only when frames are counted.
_BROKEN = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, struct.error),
    *(OverflowError, ZeroDivisionError, Image.DecompressionBombError),
)
# Grey pictures of more than 8 bits by Pillow's mode (16 bits are "I" in older versions): the value that counts as 1.
_UNIT = {"F": 1, "I": 65535, "I;16": 65535, "I;16B": 65535, "I;16L": 65535}


class PictureReader(PILReader):
    """Read a picture as float32 (H, W, 3) in [0, 1].

    Grey is replicated, palettes become their colours, an alpha channel is dropped, 16 bits of grey are divided by 65535
    (of 16 bits per colour Pillow keeps the upper 8) and the EXIF rotation is applied.
    """

    def __init__(self) -> None:
        super().__init__(reverse_indexing=False)

    def read(self, data: Sequence[Any] | Any, **kwargs: Any) -> Image.Image:
        """Open one file and decode it; a broken one raises a ValueError that names it."""
        path = _single_path(data)
        picture = _open_upright(path)
        _check_range(picture, path)
        return picture

    def get_data(self, img: Image.Image) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the array and MONAI's metadata."""
        return _as_unit_rgb(img), _metadata(img, channel_dim=-1)


class IndexReader(PILReader):
    """Read a mask as uint8 (H, W): index of a palette picture, value of a grey one, 0 and 255 of a 1-bit one."""

    def __init__(self) -> None:
        super().__init__(reverse_indexing=False)

    def read(self, data: Sequence[Any] | Any, **kwargs: Any) -> Image.Image:
        """Open one file, decode it and check that it can be a mask."""
        path = _single_path(data)
        picture = _open_upright(path)
        return Image.fromarray(_as_index(picture, path))

    def get_data(self, img: Image.Image) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the array and MONAI's metadata."""
        return np.array(img), _metadata(img, channel_dim=float("nan"))


def read_index(path: str | Path) -> np.ndarray:
    """Read one mask as uint8 (H, W), without MONAI's metadata."""
    return _as_index(_open_upright(Path(path)), Path(path))


def picture_size(path: str | Path) -> tuple[int, int]:
    """Height and width after the EXIF rotation, from the file's header alone."""
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            turned = picture.getexif().get(_EXIF_ORIENTATION, 1) in _QUARTER_TURNS
    except FileNotFoundError:
        raise FileNotFoundError(f"no picture {path}") from None
    except _BROKEN as error:
        raise ValueError(f"{path} is not a readable picture: {error}") from error
    return (width, height) if turned else (height, width)


def _single_path(data: Sequence[Any] | Any) -> Path:
    paths = [data] if isinstance(data, (str, Path)) else list(data)
    if len(paths) != 1:
        raise ValueError(f"expected one picture file, got {len(paths)}: {paths}")
    return Path(paths[0])


def _open_upright(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            if picture.format == "TIFF" and (pages := getattr(picture, "n_frames", 1)) > 1:
                raise ValueError(f"it has {pages} pages, expected one")
            picture.load()
            return ImageOps.exif_transpose(picture)
    except FileNotFoundError:
        raise FileNotFoundError(f"no picture {path}") from None
    except _BROKEN as error:
        raise ValueError(f"{path} is not a readable picture: {error}") from error


def _check_range(picture: Image.Image, path: Path) -> None:
    if picture.mode not in _UNIT:
        return
    grey, highest = np.asarray(picture, dtype=np.float32), _UNIT[picture.mode]
    if not (np.isfinite(grey).all() and grey.min() >= 0 and grey.max() <= highest):
        kind = "floating point" if picture.mode == "F" else "integer"
        raise ValueError(
            f"{path} has {kind} values from {grey.min():g} to {grey.max():g}, expected finite ones from 0 to {highest}"
        )


def _as_unit_rgb(picture: Image.Image) -> np.ndarray:
    if picture.mode in _UNIT:
        grey = np.asarray(picture, dtype=np.float32) / np.float32(_UNIT[picture.mode])
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.mode in ("P", "PA") and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    return np.asarray(picture.convert("RGB"), dtype=np.float32) / np.float32(255)


def _as_index(picture: Image.Image, path: Path) -> np.ndarray:
    if picture.mode == "1":
        return np.asarray(picture.convert("L"))
    values = np.asarray(picture)
    if picture.mode in ("RGB", "RGBA") and (values[..., :1] != values[..., 1:3]).any():
        raise ValueError(f"{path} is a colour picture, expected a mask of indices (palette or grey PNG)")
    if picture.mode in ("LA", "PA", "RGB", "RGBA"):
        opacity = values[..., -1] if picture.mode.endswith("A") else values[:0]
        values = values[..., 0]
        if opacity.size and opacity.min() < opacity.max() and values.min() == values.max():
            raise ValueError(f"{path} has one value only, and a mask in its alpha channel; expected it in the values")
    if values.ndim != 2:
        raise ValueError(f"{path} has mode {picture.mode}, expected a mask of indices (palette or grey PNG)")
    if values.size and not (values.min() >= 0 and values.max() <= 255):
        raise ValueError(f"{path} has label values from {values.min()} to {values.max()}, expected 0 to 255")
    if values.dtype.kind == "f" and (values != np.rint(values)).any():
        raise ValueError(f"{path} has label values that are no whole numbers, expected 0 to 255")
    return np.ascontiguousarray(values.astype(np.uint8))


def _metadata(picture: Image.Image, channel_dim: float) -> dict[str, Any]:
    return {
        MetaKeys.SPATIAL_SHAPE: np.asarray((picture.height, picture.width)),
        MetaKeys.ORIGINAL_CHANNEL_DIM: channel_dim,
    }
