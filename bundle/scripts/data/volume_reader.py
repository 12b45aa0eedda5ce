# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Volumes in the canonical orientation: axes run to the patient's left, back and head (LPS), as MONAI spells it."""

from __future__ import annotations

import gzip
import logging
import zlib
from pathlib import Path
from typing import Any, cast

import nibabel
import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import io_orientation
from nibabel.spatialimages import HeaderDataError

from .dicom.header import has_dicom_name
from .dicom.label_stack import is_label_stack, read_label_stack
from .dicom.pixels import read_pixels
from .dicom.segmentation import is_segmentation, read_segmentation
from .dicom.series import find_series, is_dicom_path

__all__ = [
    "CANONICAL_AXES",
    "check_same_grid",
    "is_dicom_source",
    "is_nifti_name",
    "is_volume_file",
    "load_volume",
    "volume_stem",
]

CANONICAL_AXES = "LPS"
_AXIS_LABELS = (("L", "R"), ("P", "A"), ("I", "S"))
_SMALLEST_VOXEL = 1e-12  # cubic mm
_SUFFIXES = (".nii", ".nii.gz")
_PIECE = 2**20  # bytes
_DISAGREEMENT = 1.0  # mm
_BROKEN = (
    *(OSError, EOFError, ValueError, TypeError, OverflowError, MemoryError, zlib.error),
    *(ImageFileError, HeaderDataError),
)


def is_nifti_name(path: str | Path) -> bool:
    """Whether the name is that of a NIfTI file."""
    return str(path).lower().endswith(_SUFFIXES)


def is_dicom_source(path: str | Path) -> bool:
    """Whether this is a folder (of a DICOM series) or a DICOM file, and no NIfTI file."""
    return not is_nifti_name(path) and is_dicom_path(path)


def is_volume_file(path: str | Path) -> bool:
    """Whether this is a volume: a NIfTI file by its name, a folder (of a DICOM series), or a DICOM file."""
    return is_nifti_name(path) or is_dicom_path(path)


def volume_stem(path: str | Path) -> str:
    """File name without ``.nii``, ``.nii.gz`` or the suffix of DICOM files; name of a folder."""
    path = Path(path).absolute()
    for suffix in (".nii.gz", ".nii"):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem if has_dicom_name(path) else path.name


def load_volume(
    path: str | Path,
    *,
    is_label: bool = False,
    image: str | Path | None = None,
    series_uid: str | None = None,
) -> MetaTensor:
    """Read a 3D volume in the canonical orientation.

    Args:
        path: a .nii or .nii.gz file; a folder with a DICOM series, or one of its files. A label map may also be a
            DICOM-SEG file, or a folder of pictures, one per slice of the image's series.
        is_label: read a label map; its values must be whole numbers from 0 to 255.
        image: the image of a label map that needs its grid (DICOM-SEG, pictures).
        series_uid: SeriesInstanceUID, where the image's folder holds several series.

    Returns:
        (1, X, Y, Z) with the affine of the canonical grid; float32, or uint8 for a label map.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it can't be read, isn't 3D, or a label map holds other values; the message names the file.
    """
    path = Path(path)
    if is_dicom_source(path):
        volume: Any = _read_dicom_label(path, image, series_uid) if is_label else _read_dicom(path, series_uid)
    else:
        volume = _read_nifti(path)
    volume = Orientation(axcodes=CANONICAL_AXES, labels=_AXIS_LABELS)(volume)
    volume.meta["filename_or_obj"] = str(path)
    return _as_label(volume, path) if is_label else volume


def check_same_grid(image: MetaTensor, label: MetaTensor, *, tolerance: float = 1e-2) -> None:
    """Raise a ValueError that names both files when their shapes or affines (in mm) differ."""
    names = f"{image.meta.get('filename_or_obj')} and its label {label.meta.get('filename_or_obj')}"
    if image.shape[1:] != label.shape[1:]:
        raise ValueError(f"{names} have different shapes: {tuple(image.shape[1:])} and {tuple(label.shape[1:])}")
    difference = (image.affine - label.affine).abs().max().item()
    if difference > tolerance:
        raise ValueError(f"{names} have different affines (by up to {difference:.3g} mm)")


def _read_nifti(path: Path) -> Any:
    """(1, X, Y, Z) MetaTensor of the file's grid."""
    if not path.is_file():
        raise FileNotFoundError(f"no volume {path}")
    array, affine = _read(path)
    if array.dtype.fields is not None or np.iscomplexobj(array):
        raise ValueError(f"{path} holds colours or complex numbers ({array.dtype}), expected one number per voxel")
    is_finite = np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) >= _SMALLEST_VOXEL
    if not is_finite or np.isnan(io_orientation(affine)).any():
        raise ValueError(f"{path} has an affine that is not invertible: {affine[:3].tolist()}")
    shape = array.shape
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 3 or not array.size:
        raise ValueError(f"{path} has the shape {shape}, expected a 3D volume")
    return _on_grid(np.ascontiguousarray(array, dtype=np.float32), affine, {})


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Array and affine of a file; whatever is wrong with it becomes one ValueError.

    The affine is nibabel's (sform before qform), which results are written with, too; MONAI's reader takes the qform
    where the two disagree. A compressed file is read to its end, so that its checksum is compared.
    """
    try:
        image: Any = nibabel.load(path)
        if path.name.lower().endswith(".gz"):
            with gzip.open(path) as stream:
                array = np.asanyarray(type(image).from_stream(stream).dataobj)
                while stream.read(_PIECE):
                    pass
        else:
            array = np.asanyarray(image.dataobj)
        _tell_disagreement(image, path)
    except _BROKEN as error:
        raise ValueError(f"{path} is not a readable NIfTI volume: {' '.join(str(error).split())}") from error
    return array, np.array(image.affine, dtype=np.float64)


def _tell_disagreement(image: Any, path: Path) -> None:
    """Log where the header's two ways to say where the voxels lie say different things."""
    if not isinstance(image, nibabel.Nifti1Pair):
        return
    try:
        qform, sform = image.get_qform(coded=True)[0], image.get_sform(coded=True)[0]
    except HeaderDataError:  # no rotation, and not needed beside a sform
        return
    if qform is None or sform is None:
        return
    corners = np.array([(x, y, z, 1) for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (*image.shape[:3], 1)
    difference = np.abs(corners @ (qform - sform).T).max()
    if difference > _DISAGREEMENT:
        logging.getLogger(__name__).warning(
            "%s: sform and qform differ by up to %.3g mm; the sform is used", path, difference
        )


def _read_dicom(path: Path, series_uid: str | None) -> MetaTensor:
    """(1, X, Y, Z) MetaTensor of the series' grid: columns, rows, slices."""
    series = find_series(path, series_uid)
    return _on_grid(read_pixels(series), series.affine, {"series_uid": series.uid})


def _read_dicom_label(path: Path, image: str | Path | None, series_uid: str | None) -> MetaTensor:
    """A label map of DICOM's world on the grid of its image's series."""
    is_object = path.is_file() and is_segmentation(path)
    if not is_object and not is_label_stack(path):
        return _read_dicom(path, None)
    if image is None or is_nifti_name(image):
        raise ValueError(f"{path} can only be read with the DICOM series of its image, got the image {image}")
    series = find_series(image, series_uid)
    array = (read_segmentation if is_object else read_label_stack)(path, series)
    return _on_grid(array, series.affine, {"series_uid": series.uid})


def _on_grid(array: np.ndarray, affine: np.ndarray, meta: dict[str, Any]) -> MetaTensor:
    """(1, X, Y, Z); MetaTensor takes the first axis for channels when it counts the dimensions of space."""
    meta = {**meta, "space": "RAS", "original_affine": affine.copy()}
    return MetaTensor(torch.from_numpy(array[None]), affine=torch.from_numpy(affine), meta=meta)


def _as_label(volume: MetaTensor, path: Path) -> MetaTensor:
    values = torch.unique(volume.as_tensor())
    wrong = values[~((values >= 0) & (values <= 255) & (values == values.round()))]
    if len(wrong):
        shown = ", ".join(f"{value:g}" for value in wrong[:5].tolist())
        raise ValueError(f"{path} has the label values {shown}; expected whole numbers from 0 to 255")
    return cast(MetaTensor, volume.to(torch.uint8))
