# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A NIfTI file by its content: a packed file may be named ``.nii`` and an unpacked one ``.nii.gz``.

Proxies and mail programs unpack files and keep their names; people rename. The first bytes tell both whether a file is
packed and whether it is NIfTI-1 or NIfTI-2.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

__all__ = ["BROKEN_NIFTI", "channel_of", "read_nifti", "read_nifti_header"]

BROKEN_NIFTI = (
    *(OSError, EOFError, ValueError, TypeError, OverflowError, MemoryError, zlib.error),
    *(ImageFileError, HeaderDataError, WrapStructError),
)
"""What nibabel raises at a broken file."""

_PACKED = b"\x1f\x8b"
_PIECE = 2**20  # bytes
_SIZES = {348: nibabel.Nifti1Image, 540: nibabel.Nifti2Image}  # of the header, its first four bytes


def read_nifti_header(path: Path) -> Any:
    """Nibabel's image of a file, of which only header and affine may be asked for.

    Raises:
        ValueError: naming the file, when it is no NIfTI volume.
    """
    with _naming(path), _opened(path) as stream:
        return _image_of(stream, path)


def read_nifti(path: Path) -> tuple[NDArray[Any], Any]:
    """Array of a file in its own axes, and nibabel's image for its header.

    A packed file is read to its end, so that its checksum is compared.

    Raises:
        ValueError: naming the file, when it is no NIfTI volume or broken.
    """
    with _naming(path), _opened(path) as stream:
        image = _image_of(stream, path)
        array = np.asanyarray(image.dataobj)
        while isinstance(stream, gzip.GzipFile) and stream.read(_PIECE):
            pass
    return array, image


def channel_of(array: NDArray[Any], channel: int | None, path: Path) -> NDArray[Any]:
    """A volume of three axes; of a series with a fourth axis, one of its parts.

    Args:
        array: three axes, or more.
        channel: number along the fourth axis, from 0; None where there is one part only.
        path: for messages.

    Raises:
        ValueError: for other shapes, several parts without a choice, or a choice that isn't there.
    """
    shape = array.shape
    while array.ndim > 4 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 4 and (array.shape[3] == 1 or channel is not None):
        number = 0 if channel is None else channel
        if not 0 <= number < array.shape[3]:
            raise ValueError(f"{path} has the channels 0 to {array.shape[3] - 1}, but channel {channel} is asked for")
        array = array[..., number]
    if array.ndim == 4:
        raise ValueError(
            f"{path} has the shape {shape}, expected a 3D volume; choose one of its {shape[3]} parts with channel "
            "(--channel 0)"
        )
    if array.ndim != 3 or not array.size:
        raise ValueError(f"{path} has the shape {shape}, expected a 3D volume")
    return array


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        is_packed = file.read(2) == _PACKED
        file.seek(0)
        if not is_packed:
            yield file
            return
        with gzip.open(file) as stream:
            yield cast(IO[bytes], stream)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except BROKEN_NIFTI as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path} is not a readable NIfTI volume: {' '.join(str(error).split())}") from error


def _image_of(stream: IO[bytes], path: Path) -> Any:
    head = stream.read(4)
    stream.seek(0, io.SEEK_SET)
    sizes = {int.from_bytes(head, order) for order in ("little", "big")}
    kind = next((image for size, image in _SIZES.items() if size in sizes), None)
    if kind is None:
        raise ValueError(f"it starts with {head!r}, which no NIfTI header does, gzip-packed or not")
    return kind.from_stream(cast(io.IOBase, stream))
