# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A DICOM segmentation object (DICOM-SEG) as a label map on the grid of the series that it was made on.

Each frame carries its own place; frames without any pixel are often left out, and a segmentation of one annotated
slice has a single frame. So frames are put where their positions say, slice by slice.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from ...labels import LARGEST_LABEL
from .header import naming_file, open_dicom, read_header
from .series import DicomSeries

__all__ = ["is_segmentation", "read_segmentation"]

_CLASSES = (UID("1.2.840.10008.5.1.4.1.1.66.4"), UID("1.2.840.10008.5.1.4.1.1.66.7"))  # of segments; a label map
_OFF_GRID = 0.1  # of a voxel


def is_segmentation(path: str | Path) -> bool:
    """Whether a DICOM file is a segmentation object."""
    header = read_header(Path(path), specific_tags=["SOPClassUID"])
    with naming_file(Path(path)):
        return header.get("SOPClassUID") in _CLASSES


def read_segmentation(path: str | Path, series: DicomSeries) -> np.ndarray:
    """Read the segments as label values: the value is the segment number.

    Args:
        path: DICOM-SEG file, binary, fractional (cut at one half) or a label map.
        series: the series of whose grid the frames are.

    Returns:
        (X, Y, Z) uint8: columns, rows, slices.

    Raises:
        ValueError: when the file can't be read, a frame isn't of the series' grid or segments overlap.
    """
    path = Path(path)
    with naming_file(path, "DICOM segmentation"):
        dataset, frames = _read(path)
        return _label_map(dataset, frames, series, path)


def _label_map(dataset: Dataset, frames: np.ndarray, series: DicomSeries, path: Path) -> np.ndarray:
    """(X, Y, Z) of all frames."""
    columns, rows, number = series.shape
    if frames.shape[1:] != (rows, columns):
        raise ValueError(
            f"{path} has frames of {frames.shape[1]} x {frames.shape[2]} pixels (rows x columns), expected "
            f"{rows} x {columns} as the series of {series.slices[0].path}"
        )
    labels = np.zeros((number, rows, columns), np.uint8)
    is_label_map = dataset.get("SegmentationType") == "LABELMAP"
    threshold = dataset.get("MaximumFractionalValue", 255) / 2 if dataset.get("SegmentationType") == "FRACTIONAL" else 0
    for index, (frame, group) in enumerate(zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True)):
        z = _slice_of_frame(dataset, group, series, path, index)
        if is_label_map:
            values = frame
        else:
            segment = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
            values = np.where(frame > threshold, segment, 0)
        if values.max(initial=0) > LARGEST_LABEL:
            raise ValueError(f"{path} has the segment {values.max()}, expected numbers from 1 to {LARGEST_LABEL}")
        if ((labels[z] > 0) & (values > 0)).any():
            raise ValueError(f"{path} has segments that overlap (frame {index + 1}), expected one label per voxel")
        labels[z] = np.where(values > 0, values, labels[z])
    return labels.transpose(2, 1, 0)


def _read(path: Path) -> tuple[Dataset, np.ndarray]:
    """The data set and (frames, rows, columns)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = open_dicom(path)
    frames = dataset.pixel_array
    groups = dataset.PerFrameFunctionalGroupsSequence
    frames = frames[None] if frames.ndim == 2 else frames
    if len(frames) != len(groups):
        raise ValueError(f"{path} has {len(frames)} frames but functional groups for {len(groups)}")
    return dataset, frames


def _slice_of_frame(dataset: Dataset, group: Dataset, series: DicomSeries, path: Path, index: int) -> int:
    """The slice that a frame lies on, pixel on pixel."""
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    corners = []
    try:
        position, orientation, spacing = (
            np.asarray((group if sequence in group else shared[0])[sequence].value[0][name].value, dtype=np.float64)
            for sequence, name in (
                ("PlanePositionSequence", "ImagePositionPatient"),
                ("PlaneOrientationSequence", "ImageOrientationPatient"),
                ("PixelMeasuresSequence", "PixelSpacing"),
            )
        )
        column_step, row_step = orientation[:3] * spacing[1], orientation[3:] * spacing[0]
        columns, rows, number = series.shape
        for column, row in ((0, 0), (columns - 1, 0), (0, rows - 1)):
            corner = position + column * column_step + row * row_step
            indices = np.linalg.solve(series.affine, np.append(corner * (-1, -1, 1), 1.0))[:3]
            corners.append(indices - (column, row, 0))
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise ValueError(f"{path}, frame {index + 1}, says nowhere where it lies: {error}") from error
    z = round(float(corners[0][2]))
    if np.abs(np.stack(corners) - (0, 0, z)).max() > _OFF_GRID or not 0 <= z < number:
        raise ValueError(
            f"{path}, frame {index + 1}, at {position.tolist()} is on no slice of the series of "
            f"{series.slices[0].path}; expected the grid of that series"
        )
    return z
