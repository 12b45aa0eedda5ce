# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One DICOM series: found in a folder, in the order of its positions, on one grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...files.listing import visible_files
from .geometry import stack_slices
from .header import (
    ImageHeader,
    SliceHeader,
    has_dicom_name,
    is_dicom_file,
    read_image_header,
)

__all__ = ["DicomSeries", "dicom_files", "find_series", "is_dicom_path"]


@dataclass(frozen=True)
class DicomSeries:
    """The slices of one series, sorted along their normal.

    Attributes:
        uid: SeriesInstanceUID.
        description: SeriesDescription, may be empty.
        modality: "CT", "MR", ...
        slices: in the order of the grid's last axis.
        affine: (4, 4) from (column, row, slice) to mm to the right, front and head (NIfTI's convention).
    """

    uid: str
    description: str
    modality: str
    slices: tuple[SliceHeader, ...]
    affine: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of columns, rows and slices."""
        rows, columns = self.slices[0].size
        return columns, rows, len(self.slices)

    @property
    def files(self) -> list[Path]:
        """The files in order, each once."""
        return list(dict.fromkeys(one.path for one in self.slices))


def is_dicom_path(path: str | Path) -> bool:
    """Whether this is a folder, or a file that is DICOM by its name or its prefix."""
    return Path(path).is_dir() or has_dicom_name(path) or is_dicom_file(path)


def dicom_files(folder: Path) -> list[Path]:
    """Visible files of a folder that are DICOM by their name or their prefix, sorted by name."""
    return [path for path in visible_files(folder) if has_dicom_name(path) or is_dicom_file(path)]


def find_series(path: str | Path, series_uid: str | None = None) -> DicomSeries:
    """Find a series by its folder, or by one of its files.

    Args:
        path: a folder; or a file, then the series is the one that it belongs to, with the other files of its folder.
        series_uid: SeriesInstanceUID, where a folder holds several.

    Raises:
        FileNotFoundError: when there is no such path, or no DICOM image in it.
        ValueError: when a file is broken, several series are there and none is chosen, or the slices are no regular
            stack; the message names the file, or lists the series.
    """
    path = Path(path)
    if path.is_file():
        own = read_image_header(path)
        if own is None:
            raise ValueError(f"{path} is a DICOM file without an image, expected one slice of a series")
        if series_uid not in (None, own.series_uid):
            raise ValueError(f"{path} belongs to the series {own.series_uid}, not to the chosen {series_uid}")
        headers = [own] if own.num_frames > 1 else _read_headers(path.parent)
        chosen = [header for header in headers if header.series_uid == own.series_uid]
    elif path.is_dir():
        chosen = _choose(_read_headers(path), path, series_uid)
    else:
        raise FileNotFoundError(f"no DICOM series at {path}")
    slices, affine = stack_slices([one for header in chosen for one in header.slices()])
    first = chosen[0]
    return DicomSeries(first.series_uid, first.description, first.modality, tuple(slices), affine)


def _read_headers(folder: Path) -> list[ImageHeader]:
    headers = [header for header in map(read_image_header, dicom_files(folder)) if header is not None]
    if not headers:
        below = sorted(str(sub) for sub in folder.iterdir() if sub.is_dir() and dicom_files(sub))
        hint = f"; there are some in {', '.join(below)}" if below else ""
        raise FileNotFoundError(f"{folder} holds no DICOM image{hint}")
    return headers


def _choose(headers: list[ImageHeader], folder: Path, series_uid: str | None) -> list[ImageHeader]:
    found = sorted({header.series_uid for header in headers})
    if series_uid is None and len(found) > 1:
        raise ValueError(
            f"{folder} holds {len(found)} series; choose one by series_uid, or name one of its files: "
            f"{_listing(headers, found)}"
        )
    chosen = [header for header in headers if header.series_uid == (series_uid or found[0])]
    if not chosen:
        raise ValueError(f"{folder} has no series {series_uid}; it holds {_listing(headers, found)}")
    return chosen


def _listing(headers: list[ImageHeader], uids: Iterable[str]) -> str:
    lines = []
    for uid in uids:
        own = [header for header in headers if header.series_uid == uid]
        count = sum(header.num_frames for header in own)
        name = f"'{own[0].description}'" if own[0].description else "no description"
        lines.append(f"{uid} ({name}, {own[0].modality or 'no modality'}, {count} slices)")
    return "; ".join(lines)
