# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the header of a DICOM image says about each of its slices: place, grid and intensities.

A file of a classic series holds one slice; a file of the enhanced CT or MR classes holds all frames of a stack, with
their geometry in functional groups (PS3.3 C.7.6.16). Both become the same `SliceHeader`. Pixels are not read here.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.misc import is_dicom

__all__ = [
    "ImageHeader",
    "SliceHeader",
    "has_dicom_name",
    "is_dicom_file",
    "naming_file",
    "read_header",
    "read_image_header",
]

_SUFFIXES = (".dcm", ".dicom", ".ima")
# What pydicom raises at a broken element, when the file is read or not before its value is asked for.
_BROKEN = (
    *(InvalidDicomError, BytesLengthException, struct.error, OSError, EOFError, RuntimeError),
    *(ValueError, TypeError, KeyError, IndexError, AttributeError),
)
_NO_IMAGE = ("SEG", "SR", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD", "PR", "KO", "REG", "DOC")
_TAGS = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "Modality", "ImageType"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "BitsAllocated"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
_RESCALE = {"RescaleSlope": 1.0, "RescaleIntercept": 0.0}


class SliceHeader(NamedTuple):
    """One slice; positions and directions in mm of the patient's coordinates (to the left, back and head).

    Attributes:
        path: file.
        frame: number of the frame in the file, from 0.
        position: (3,) centre of the first pixel.
        orientation: (2, 3) unit vectors along which columns and rows are counted.
        spacing: (2,) distance between rows and between columns.
        thickness: distance between slices, or thickness of one, as the header says; 0 where it doesn't. Only the
            one slice of a stack of one is placed by it.
        size: rows and columns.
        rescale: slope and intercept from stored to real values.
        lacks: entries with a default (RescaleSlope, RescaleIntercept) that the header doesn't give.
    """

    path: Path
    frame: int
    position: np.ndarray
    orientation: np.ndarray
    spacing: np.ndarray
    thickness: float
    size: tuple[int, int]
    rescale: tuple[float, float]
    lacks: tuple[str, ...] = ()


class ImageHeader(NamedTuple):
    """A file: the series that it belongs to, and its data set without pixels."""

    path: Path
    series_uid: str
    description: str
    modality: str
    num_frames: int
    dataset: Dataset

    def slices(self) -> list[SliceHeader]:
        """The slices of the file.

        Raises:
            ValueError: when an entry is missing or has no sensible value; the message names file and entry.
        """
        with naming_file(self.path):
            _check_pixels(self.dataset, self.path)
            groups = self.dataset.get("PerFrameFunctionalGroupsSequence")
            if groups is None:
                if self.num_frames != 1:
                    raise ValueError(
                        f"{self.path} has {self.num_frames} frames without a place (no PerFrameFunctionalGroups)"
                    )
                return [_slice_header(self.path, 0, self.dataset, [self.dataset])]
            if len(groups) != self.num_frames:
                raise ValueError(f"{self.path} has {self.num_frames} frames but functional groups for {len(groups)}")
            shared = list(self.dataset.get("SharedFunctionalGroupsSequence") or [])
            return [_slice_header(self.path, number, self.dataset, [own, *shared]) for number, own in enumerate(groups)]


@contextmanager
def naming_file(path: Path, what: str = "DICOM file") -> Iterator[None]:
    """Turn whatever a broken file raises into one ValueError that names it; errors that name it already pass."""
    try:
        yield
    except _BROKEN as error:
        if isinstance(error, ValueError) and str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path} is not a readable {what}: {' '.join(str(error).split())}") from error


def has_dicom_name(path: str | Path) -> bool:
    """Whether the name ends as those of DICOM files do."""
    return Path(path).name.lower().endswith(_SUFFIXES)


def is_dicom_file(path: str | Path) -> bool:
    """Whether this is a file with the DICOM prefix, whatever its name."""
    return Path(path).is_file() and bool(is_dicom(path))


def read_header(path: Path, **options: Any) -> Dataset:
    """Read a file up to its pixels; whatever is wrong with it becomes one ValueError."""
    with naming_file(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd but readable values; those that matter are checked
        return pydicom.dcmread(path, stop_before_pixels=True, **options)


def read_image_header(path: Path) -> ImageHeader | None:
    """Read the header of an image; None for reports, contours, segmentations and the like.

    Raises:
        ValueError: when the file can't be read, or says of no series that it belongs to it.
    """
    dataset = read_header(path, specific_tags=list(_TAGS))
    with naming_file(path):
        modality = str(dataset.get("Modality", "") or "")
        if dataset.file_meta.get("MediaStorageSOPClassUID", "") == pydicom.uid.MediaStorageDirectoryStorage:
            return None
        if modality in _NO_IMAGE:
            return None
        series = str(dataset.get("SeriesInstanceUID", "") or "")
        if not series:
            raise ValueError(f"{path} has no SeriesInstanceUID, expected an image of a series")
        description = str(dataset.get("SeriesDescription", "") or "")
        num_frames = int(dataset.get("NumberOfFrames", 1) or 1)
    return ImageHeader(path, series, description, modality, num_frames, dataset)


def _check_pixels(dataset: Dataset, path: Path) -> None:
    samples = dataset.get("SamplesPerPixel", 1)
    photometric = dataset.get("PhotometricInterpretation", "MONOCHROME2")
    if samples != 1 or photometric != "MONOCHROME2":
        raise ValueError(
            f"{path} has {samples} sample(s) per pixel and PhotometricInterpretation {photometric}, "
            "expected one sample and MONOCHROME2"
        )
    if dataset.get("ModalityLUTSequence"):
        raise ValueError(f"{path} has a ModalityLUTSequence, expected RescaleSlope and RescaleIntercept")


def _slice_header(path: Path, frame: int, dataset: Dataset, groups: Sequence[Dataset]) -> SliceHeader:
    """`groups`: where to look for an entry; the data set itself in a classic file."""

    def numbers(name: str, count: int, sequence: str) -> np.ndarray:
        value = _look_up(name, sequence, groups)
        where = f"{path}" if len(groups) == 1 and groups[0] is dataset else f"{path}, frame {frame + 1},"
        if value is None or value == "":
            raise ValueError(f"{where} has no {name}, expected {count} numbers")
        try:
            array = np.atleast_1d(np.asarray(value, dtype=np.float64))
        except (TypeError, ValueError):
            array = np.full(1, np.nan)
        if array.shape != (count,) or not np.isfinite(array).all():
            raise ValueError(f"{where} has {name} {value}, expected {count} finite numbers")
        return array

    orientation = numbers("ImageOrientationPatient", 6, "PlaneOrientationSequence").reshape(2, 3)
    spacing = numbers("PixelSpacing", 2, "PixelMeasuresSequence")
    rescale = {name: _look_up(name, "PixelValueTransformationSequence", groups) for name in _RESCALE}
    slope, intercept = (_optional_number(rescale[name], _RESCALE[name], f"{path} has {name}") for name in _RESCALE)
    lengths = np.linalg.norm(orientation, axis=1)
    if np.abs(lengths - 1).max() > 1e-2 or abs(orientation[0] @ orientation[1]) > 1e-2:
        raise ValueError(
            f"{path} has ImageOrientationPatient {orientation.ravel().tolist()}, expected two unit vectors at right "
            "angles"
        )
    if spacing.min() <= 0:
        raise ValueError(f"{path} has PixelSpacing {spacing.tolist()}, expected positive numbers")
    if slope == 0:
        raise ValueError(f"{path} has RescaleSlope 0, expected another number")
    rows, columns = int(dataset.get("Rows", 0) or 0), int(dataset.get("Columns", 0) or 0)
    if rows < 1 or columns < 1:
        raise ValueError(f"{path} has {rows} rows and {columns} columns, expected at least one of each")
    thickness = [_look_up(name, "PixelMeasuresSequence", groups) for name in ("SpacingBetweenSlices", "SliceThickness")]
    return SliceHeader(
        path,
        frame,
        numbers("ImagePositionPatient", 3, "PlanePositionSequence"),
        orientation / lengths[:, None],
        spacing,
        next((abs(float(value)) for value in thickness if value), 0.0),
        (rows, columns),
        (slope, intercept),
        tuple(name for name, value in rescale.items() if value is None or value == ""),
    )


def _look_up(name: str, sequence: str, groups: Sequence[Dataset]) -> Any:
    """An entry of the data set itself, or of the first functional group that holds it."""
    for group in groups:
        if name in group:
            return group[name].value
        if group.get(sequence) and name in group[sequence].value[0]:
            return group[sequence].value[0][name].value
    return None


def _optional_number(value: Any, default: float, complaint: str) -> float:
    if value is None or value == "":
        return default
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise ValueError(f"{complaint} {value}, expected a finite number")
    return number
