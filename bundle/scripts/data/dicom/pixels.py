# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Decode the pixels of a DICOM series.

pydicom reads uncompressed pixels and RLE, of which it notices every missing byte. GDCM, which SimpleITK brings along,
decodes the rest (JPEG 2000, JPEG lossless, JPEG-LS, baseline JPEG): pydicom's own way to JPEG lossless is GPL
(pylibjpeg-libjpeg). GDCM gets a file of the pixels alone, so that it neither rescales nor sorts: both are done here, in
the same way for every syntax.
"""

from __future__ import annotations

import struct
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, RLELossless

from .header import naming_file, open_dicom
from .jpeg import check_jpeg_header
from .series import DicomSeries

__all__ = ["read_pixels"]

_PIXEL_MODULE = (
    *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"),
    "PixelRepresentation",
)


def read_pixels(series: DicomSeries) -> np.ndarray:
    """Read all slices in real values (Hounsfield units for CT).

    Args:
        series: from `find_series`.

    Returns:
        (X, Y, Z) float32: columns, rows, slices.

    Raises:
        ValueError: when a file's pixels are missing or can't be decoded; the message names the file.
    """
    columns, rows, number = series.shape
    stack = np.empty((number, rows, columns), np.float32)
    opened: tuple[Path, Dataset] | None = None
    for z, one in enumerate(series.slices):
        if opened is None or opened[0] != one.path:
            opened = (one.path, _read(one.path))
        stored = _decode(opened[1], one.frame, one.path)
        if stored.shape != one.size:
            raise ValueError(f"{one.path} has pixels of the shape {stored.shape}, expected {one.size}")
        slope, intercept = one.rescale
        stack[z] = stored.astype(np.float64) * slope + intercept
    return stack.transpose(2, 1, 0)


def _read(path: Path) -> Dataset:
    with naming_file(path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unfinished file is told below, as an error
            dataset = open_dicom(path)
        if not dataset.get("PixelData"):
            raise ValueError(f"{path} has no PixelData (cut short?), expected an image")
    return dataset


def _decode(dataset: Dataset, frame: int, path: Path) -> np.ndarray:
    """(rows, columns) of stored values."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if not isinstance(syntax, UID):
        raise ValueError(f"{path} has the TransferSyntaxUID {syntax}, expected one")
    try:
        if syntax.is_compressed and not syntax.is_deflated and syntax != RLELossless:
            return _decode_with_gdcm(dataset, frame)
        return pixel_array(dataset, index=frame)
    except (RuntimeError, ValueError, KeyError, AttributeError, TypeError, struct.error) as error:
        cause = str(error).strip().splitlines()[-1]
        raise ValueError(f"{path} has pixels ({syntax.name}) that can't be decoded: {cause}") from error


def _decode_with_gdcm(dataset: Dataset, frame: int) -> np.ndarray:
    number_of_frames = int(dataset.get("NumberOfFrames", 1) or 1)
    encoded = get_frame(dataset.PixelData, frame, number_of_frames=number_of_frames)
    check_jpeg_header(encoded, dataset.Rows, dataset.Columns)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.dcm"
        _pixels_alone(dataset, encoded).save_as(path, enforce_file_format=True)
        image = sitk.ReadImage(str(path), imageIO="GDCMImageIO")
    return np.asarray(sitk.GetArrayFromImage(image)[0])


def _pixels_alone(dataset: Dataset, encoded: bytes) -> FileDataset:
    """A file that holds one frame and what is needed to decode it."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    bare = FileDataset("frame.dcm", {}, file_meta=meta, preamble=b"\0" * 128)
    bare.SOPClassUID, bare.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    for name in _PIXEL_MODULE:
        setattr(bare, name, dataset[name].value)
    bare.PixelData = encapsulate([encoded])
    bare["PixelData"].VR = "OB"
    return bare
