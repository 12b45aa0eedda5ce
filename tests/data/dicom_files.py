# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Small DICOM series, written by pydicom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1.0, 0, 0, 0, 1, 0)
# Rows and columns of a plane that is turned about two axes of the patient.
OBLIQUE = tuple(
    (
        np.array([[1, 0, 0], [0, np.cos(0.3), -np.sin(0.3)], [0, np.sin(0.3), np.cos(0.3)]])
        @ np.array([[np.cos(0.2), -np.sin(0.2), 0], [np.sin(0.2), np.cos(0.2), 0], [0, 0, 1]])
    )[:, :2].T.ravel()
)
ORIGIN = (-30.0, 12.0, 100.0)
SPACING = (0.8, 0.6)  # between rows, between columns
STEP = 2.5
UID = "1.2.826.0.1.3680043.8.498.1"
SLICES = 5


def stored_volume(seed: int = 0, slices: int = SLICES) -> np.ndarray:
    """(columns, rows, slices) of stored values that tell every voxel from the others."""
    return np.random.default_rng(seed).permutation(7 * 6 * slices).reshape(7, 6, slices).astype(np.uint16)


def normal(orientation: Sequence[float] = AXIAL) -> np.ndarray:
    return np.cross(orientation[:3], orientation[3:])


def affine_of(orientation: Sequence[float] = AXIAL, origin: Sequence[float] = ORIGIN) -> np.ndarray:
    """From (column, row, slice) to mm to the right, front and head."""
    affine = np.eye(4)
    columns = (np.asarray(orientation[:3]) * SPACING[1], np.asarray(orientation[3:]) * SPACING[0])
    affine[:3, :3] = np.stack([*columns, normal(orientation) * STEP], axis=1)
    affine[:3, 3] = origin
    return np.diag([-1.0, -1, 1, 1]) @ affine


def new_file(sop_class: str = CTImageStorage) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = "CT"
    dataset.StudyInstanceUID = f"{UID}.1"
    dataset.FrameOfReferenceUID = f"{UID}.2"
    dataset.SeriesInstanceUID = f"{UID}.3"
    dataset.SeriesDescription = "portal venous"
    dataset.PatientID = "7"
    return dataset


def set_pixels(dataset: Dataset, stored: np.ndarray) -> None:
    """`stored`: (rows, columns) or (frames, rows, columns)."""
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(stored).tobytes()
    dataset["PixelData"].VR = "OW"


def write_series(
    folder: Path,
    volume: np.ndarray,
    *,
    orientation: Sequence[float] = AXIAL,
    names: Sequence[str] | None = None,
    edit: Callable[[FileDataset, int], Any] | None = None,
) -> list[Path]:
    """One file per slice; file z lies z steps along the normal. `edit` changes the data set of slice z."""
    folder.mkdir(parents=True, exist_ok=True)
    names = names or [f"IM{z:03d}.dcm" for z in range(volume.shape[2])]
    for z, name in enumerate(names):
        dataset = new_file()
        dataset.ImageOrientationPatient = [f"{value:.10g}"[:16] for value in orientation]
        position = np.asarray(ORIGIN) + z * STEP * normal(orientation)
        dataset.ImagePositionPatient = [f"{value:.9f}"[:16] for value in position]
        dataset.PixelSpacing = list(SPACING)
        dataset.SliceThickness = 9.0  # wrong on purpose: the positions say 2.5
        dataset.InstanceNumber = (7 * z) % 5  # no order
        set_pixels(dataset, volume[:, :, z].T)
        if edit is not None:
            edit(dataset, z)
        dataset.save_as(folder / name, enforce_file_format=True)
    return [folder / name for name in names]


def write_enhanced(path: Path, volume: np.ndarray, order: Sequence[int], edit: Callable | None = None) -> Path:
    """All slices as frames of one file, in the given order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = new_file(EnhancedCTImageStorage)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(SPACING), 9.0
    orientation.ImageOrientationPatient = list(AXIAL)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    dataset.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for z in order:
        group, position, rescale = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = (np.asarray(ORIGIN) + z * STEP * normal()).tolist()
        rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, -1000 - z, "HU"
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [position], [rescale]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.NumberOfFrames = len(order)
    set_pixels(dataset, volume[:, :, list(order)].transpose(2, 1, 0))
    if edit is not None:
        edit(dataset)
    dataset.save_as(path, enforce_file_format=True)
    return path


def compress(path: Path, syntax: str, stored: np.ndarray) -> None:
    """Replace the pixels of a file by compressed ones: "JPEG", "JPEG2000" (ITK's encoders), "JPEG-LS", "RLE"."""
    dataset = pydicom.dcmread(path)
    if syntax in ("JPEG", "JPEG2000"):
        encoded = path.with_name(f"encoded-{path.name}")
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(encoded))
        writer.SetUseCompression(True)
        writer.SetCompressor(syntax)
        writer.Execute(sitk.GetImageFromArray(stored))
        other = pydicom.dcmread(encoded)
        encoded.unlink()
        dataset.PixelData = encapsulate(list(generate_frames(other.PixelData, number_of_frames=1)))
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = other.file_meta.TransferSyntaxUID
    elif syntax == "deflated":
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    else:
        uid = {"RLE": pydicom.uid.RLELossless, "JPEG-LS": pydicom.uid.JPEGLSLossless}[syntax]
        dataset.compress(uid, stored, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)


def write_masks(folder: Path, label: np.ndarray, names: Sequence[str], order: Sequence[int]) -> Path:
    """PNG pictures of a label map (columns, rows, slices); picture n shows slice order[n]."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, z in zip(names, order, strict=True):
        Image.fromarray(np.ascontiguousarray(label[:, :, z].T)).save(folder / name)
    return folder
