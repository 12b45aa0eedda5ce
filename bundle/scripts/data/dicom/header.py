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
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.misc import is_dicom
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

__all__ = [
    "ImageHeader",
    "SliceHeader",
    "has_dicom_name",
    "is_dicom_file",
    "naming_file",
    "open_dicom",
    "read_header",
    "read_image_header",
]

_SUFFIXES = (".dcm", ".dicom", ".ima")
# What pydicom raises at a broken element, when the file is read or not before its value is asked for.
_BROKEN = (
    *(InvalidDicomError, BytesLengthException, struct.error, OSError, EOFError, RuntimeError),
    *(ValueError, TypeError, KeyError, IndexError, AttributeError),
)
_IMAGE = "Image Storage"  # in the name of every class of images; others hold reports, contours, segments, raw data
_FIRST_GROUPS = (0x0002, 0x0008)
_LAST_ELEMENT = 0x0060
_LONGEST_VALUE = 1024  # bytes of the first element
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
    """Whether this is a DICOM file, whatever its name: one with the prefix, or one that starts with its elements."""
    path = Path(path)
    return path.is_file() and (bool(is_dicom(path)) or _starts_with_elements(path))


def open_dicom(path: Path, **options: Any) -> FileDataset:
    """`pydicom.dcmread`, also of files that lost their prefix or their meta information, as old archives write them."""
    is_bare = not is_dicom(path) and _starts_with_elements(path)
    dataset = pydicom.dcmread(path, force=is_bare, **options)
    if is_bare and "TransferSyntaxUID" not in dataset.file_meta:
        is_implicit, _ = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
    return dataset


def _starts_with_elements(path: Path) -> bool:
    """Whether a file starts with an element of the groups 2 or 8, explicit or implicit, little endian."""
    with path.open("rb") as file:
        head = file.read(8)
    if len(head) < 8:
        return False
    group, element, length = struct.unpack("<HHI", head)
    is_explicit = head[4:6].isalpha() and head[4:6].isupper()
    return group in _FIRST_GROUPS and element <= _LAST_ELEMENT and (is_explicit or length <= _LONGEST_VALUE)


def read_header(path: Path, **options: Any) -> FileDataset:
    """Read a file up to its pixels; whatever is wrong with it becomes one ValueError."""
    with naming_file(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd but readable values; those that matter are checked
        return open_dicom(path, stop_before_pixels=True, **options)


def read_image_header(path: Path) -> ImageHeader | None:
    """Read the header of an image; None for reports, contours, segmentations and the like.

    Raises:
        ValueError: when the file can't be read, or says of no series that it belongs to it.
    """
    dataset = read_header(path, specific_tags=list(_TAGS))
    with naming_file(path):
        modality = str(dataset.get("Modality", "") or "")
        if not _is_image(dataset):
            return None
        series = str(dataset.get("SeriesInstanceUID", "") or "")
        if not series:
            raise ValueError(f"{path} has no SeriesInstanceUID, expected an image of a series")
        description = str(dataset.get("SeriesDescription", "") or "")
        num_frames = int(dataset.get("NumberOfFrames", 1) or 1)
    return ImageHeader(path, series, description, modality, num_frames, dataset)


def _is_image(dataset: FileDataset) -> bool:
    """Whether an object holds an image, by its class; where that is private, by its rows and columns."""
    kind = UID(str(dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID", "")))
    if kind.is_private or kind.name == kind:  # unknown to the standard's list
        return "Rows" in dataset and "Columns" in dataset
    return _IMAGE in kind.name


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
