# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Ground truth as a folder of pictures, one per slice of a DICOM series (CHAOS ``Ground``).

The pictures say nothing about where they lie. They follow the file names of the series, whatever its names have to do
with positions: of the CHAOS CT, names run from the head to the feet. So each picture goes to the position of its file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...files.listing import plain_stem
from ...files.natural_order import natural_key
from ..picture_reader import read_index
from ..readers.folders import list_files
from .series import DicomSeries, dicom_files

__all__ = ["is_label_stack", "read_label_stack"]


def is_label_stack(path: str | Path) -> bool:
    """Whether this is a folder of pictures, without DICOM files."""
    path = Path(path)
    return path.is_dir() and bool(list_files(path)) and not dicom_files(path)


def read_label_stack(folder: str | Path, series: DicomSeries) -> np.ndarray:
    """Read the pictures on the grid of a series.

    Where the names (without suffix) are those of the DICOM files they decide; otherwise the n-th picture in natural
    order belongs to the n-th file in natural order.

    Args:
        folder: as many pictures as the series has slices, of its size.
        series: from `find_series`.

    Returns:
        (X, Y, Z) uint8: columns, rows, slices.

    Raises:
        ValueError: when numbers, names or sizes don't fit; the message names the folder or the file.
    """
    folder = Path(folder)
    pictures = sorted(list_files(folder), key=lambda path: natural_key(path.name))
    positions = sorted(
        range(len(series.slices)),
        key=lambda z: (natural_key(series.slices[z].path.name), series.slices[z].frame),
    )
    where = series.slices[0].path.parent
    if len(pictures) != len(positions):
        raise ValueError(f"{folder} has {len(pictures)} pictures, expected {len(positions)} as the series in {where}")
    stems = [plain_stem(path) for path in pictures]
    files = [plain_stem(series.slices[z].path) for z in positions]
    shared = set(stems) & set(files)
    if len(set(files)) == len(files) and shared and set(stems) != set(files):
        odd = next(path for path in pictures if plain_stem(path) not in shared)
        raise ValueError(f"{odd} has no DICOM file of its name in {where}, as other pictures of its folder have")
    columns, rows, number = series.shape
    stack = np.empty((number, rows, columns), np.uint8)
    for z, path in zip(positions, pictures, strict=True):
        mask = read_index(path)
        if mask.shape != (rows, columns):
            raise ValueError(
                f"{path} has {mask.shape[0]} x {mask.shape[1]} pixels (rows x columns), expected {rows} x {columns} "
                f"as {series.slices[z].path}"
            )
        stack[z] = mask
    return stack.transpose(2, 1, 0)
