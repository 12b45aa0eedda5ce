# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Volumes in the canonical orientation: axes run to the patient's left, back and head (LPS), as MONAI spells it.

Reading needs neither MONAI nor, for NIfTI, anything of DICOM: both take seconds to import and are imported where they
are asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import nibabel
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from .itk_file import is_itk_name, lay_onto, read_itk
from .nifti_file import channel_of, read_nifti
from .volume_names import is_dicom_source, is_nifti_name

if TYPE_CHECKING:
    from monai.data.meta_tensor import MetaTensor

__all__ = [
    "CANONICAL_AXES",
    "GRID_TOLERANCE",
    "Volume",
    "check_same_grid",
    "corner_distance",
    "load_volume",
    "on_grid_of",
    "read_volume",
]

CANONICAL_AXES = "LPS"
GRID_TOLERANCE = 0.1  # of the smallest voxel side
_SMALLEST_VOXEL = 1e-12  # cubic mm
_CROPPED = ".seg.nrrd"
_DISAGREEMENT = 1.0  # mm
_ROUNDING = 1e-3


class Volume(NamedTuple):
    """A volume in the canonical orientation.

    Attributes:
        array: (X, Y, Z); float32, or uint8 for a label map.
        affine: (4, 4) of this grid in mm to the right, front and head (NIfTI's convention), float64.
        source: the file or folder that it was read from.
        original_affine: (4, 4) of the source's own grid.
        series_uid: SeriesInstanceUID of a DICOM series; None for NIfTI.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    source: str
    original_affine: NDArray[np.float64]
    series_uid: str | None = None

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres per axis of (X, Y, Z)."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return x, y, z

    def as_meta_tensor(self) -> MetaTensor:
        """The volume as MONAI's tensor (1, X, Y, Z) with its affine, the source's affine and the name of the source."""
        import torch
        from monai.data.meta_tensor import MetaTensor

        meta: dict[str, Any] = {} if self.series_uid is None else {"series_uid": self.series_uid}
        # Without the space, MetaTensor takes the first axis for channels when it counts the dimensions of space.
        meta |= {"space": "RAS", "original_affine": self.original_affine.copy(), "filename_or_obj": self.source}
        return MetaTensor(torch.from_numpy(self.array[None]), affine=torch.from_numpy(self.affine.copy()), meta=meta)


def read_volume(
    path: str | Path,
    *,
    is_label: bool = False,
    image: str | Path | None = None,
    series_uid: str | None = None,
    channel: int | None = None,
) -> Volume:
    """Read a 3D volume in the canonical orientation.

    Args:
        path: a .nii or .nii.gz file; a folder with a DICOM series, or one of its files. A label map may also be a
            DICOM-SEG file, or a folder of pictures, one per slice of the image's series.
        is_label: read a label map; its values must be whole numbers from 0 to 255.
        image: the image of a label map that needs its grid (DICOM-SEG, pictures).
        series_uid: SeriesInstanceUID, where the image's folder holds several series.
        channel: number of the part to take, from 0, where the file has a fourth axis (b-values, echoes, time).

    Returns:
        The volume; axes were swapped and flipped, nothing was resampled.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it can't be read, isn't 3D, or a label map holds other values; the message names the file.
    """
    path = Path(path)
    uid: str | None = None
    if is_itk_name(path):
        stored, affine = read_itk(path)
        array: NDArray[Any] = np.ascontiguousarray(stored, dtype=np.float32)
    elif not is_dicom_source(path):
        array, affine = _read_nifti(path, channel)
    elif is_label:
        array, affine, uid = _read_dicom_label(path, image, series_uid)
    else:
        array, affine, uid = _read_dicom(path, series_uid)
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(CANONICAL_AXES))
    canonical = affine @ inv_ornt_aff(turn, array.shape)
    # A copy where axes were flipped: torch takes no negative strides.
    array = apply_orientation(array, turn).copy(order="K") if (turn[:, 1] < 0).any() else apply_orientation(array, turn)
    array = _as_label(array, path) if is_label else _finite(array, path)
    return Volume(array, canonical, str(path), affine, uid)


def load_volume(
    path: str | Path,
    *,
    is_label: bool = False,
    image: str | Path | None = None,
    series_uid: str | None = None,
) -> MetaTensor:
    """Read a 3D volume as `read_volume` does, as MONAI's tensor.

    Returns:
        (1, X, Y, Z) with the affine of the canonical grid; float32, or uint8 for a label map.
    """
    return read_volume(path, is_label=is_label, image=image, series_uid=series_uid).as_meta_tensor()


def on_grid_of(image: Volume, label: Volume) -> Volume:
    """A label map of 3D Slicer (``.seg.nrrd``), which ends at its segments, on the grid of its image; others as is.

    Raises:
        ValueError: where its voxels don't lie on the image's, see `lay_onto`.
    """
    if not label.source.lower().endswith(_CROPPED) or label.array.shape == image.array.shape:
        return label
    array = lay_onto(label.array, label.affine, image.array.shape, image.affine, Path(label.source))
    return label._replace(array=array, affine=image.affine)


def check_same_grid(image: Volume, label: Volume, *, tolerance: float = GRID_TOLERANCE) -> None:
    """Refuse a label map that doesn't lie where its image does.

    Args:
        image: see `read_volume`.
        label: see `read_volume`.
        tolerance: how far the corners of the two grids may lie apart, as a share of the image's smallest voxel side.

    Raises:
        ValueError: naming both files, for other shapes or corners farther apart.
    """
    names = f"{image.source} and its label {label.source}"
    if image.array.shape != label.array.shape:
        raise ValueError(f"{names} have different shapes: {image.array.shape} and {label.array.shape}")
    apart = corner_distance(image.affine, label.affine, image.array.shape)
    allowed = tolerance * min(image.spacing)
    if not apart <= allowed:
        raise ValueError(
            f"{names} have different affines: their corners lie up to {apart:.4g} mm apart, expected at most "
            f"{allowed:.2g} mm (grid_tolerance {tolerance:g} of the smallest voxel side)"
        )


def corner_distance(first: NDArray[np.float64], second: NDArray[np.float64], shape: Sequence[int]) -> float:
    """The largest distance in mm between the corners that two affines give a grid of this shape."""
    corners = np.array([(x, y, z, 1) for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (*shape[:3], 1)
    return float(np.linalg.norm((corners @ (first - second).T)[:, :3], axis=1).max())


def _read_nifti(path: Path, channel: int | None) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """(X, Y, Z) of the file's grid, and its affine."""
    if not path.is_file():
        raise FileNotFoundError(f"no volume {path}")
    array, image = read_nifti(path)
    affine = np.array(image.affine, dtype=np.float64)
    _tell_disagreement(image, path)
    if array.dtype.fields is not None or np.iscomplexobj(array):
        kind = "complex numbers" if array.dtype.fields is None else "colours (RGB)"
        raise ValueError(
            f"{path} holds colours or complex numbers: {kind}, {array.dtype}; expected one number per voxel, a grey "
            "image"
        )
    is_finite = np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) >= _SMALLEST_VOXEL
    if not is_finite or np.isnan(io_orientation(affine)).any():
        raise ValueError(f"{path} has an affine that is not invertible: {affine[:3].tolist()}")
    array = channel_of(array, channel, path)
    return np.ascontiguousarray(array, dtype=np.float32), affine


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
    difference = corner_distance(qform, sform, image.shape)
    if difference > _DISAGREEMENT:
        logging.getLogger(__name__).warning(
            "%s: sform and qform differ by up to %.3g mm; the sform is used", path, difference
        )


def _read_dicom(path: Path, series_uid: str | None) -> tuple[NDArray[np.float32], NDArray[np.float64], str]:
    """(X, Y, Z) of the series' grid (columns, rows, slices), its affine and its SeriesInstanceUID."""
    from .dicom.pixels import read_pixels
    from .dicom.series import find_series

    series = find_series(path, series_uid)
    return read_pixels(series), series.affine, series.uid


def _read_dicom_label(
    path: Path, image: str | Path | None, series_uid: str | None
) -> tuple[NDArray[Any], NDArray[np.float64], str]:
    """A label map of DICOM's world on the grid of its image's series."""
    from .dicom.label_stack import is_label_stack, read_label_stack
    from .dicom.segmentation import is_segmentation, read_segmentation
    from .dicom.series import find_series

    is_object = path.is_file() and is_segmentation(path)
    if not is_object and not is_label_stack(path):
        return _read_dicom(path, None)
    if image is None or is_nifti_name(image):
        raise ValueError(f"{path} can only be read with the DICOM series of its image, got the image {image}")
    series = find_series(image, series_uid)
    array = (read_segmentation if is_object else read_label_stack)(path, series)
    return array, series.affine, series.uid


def _finite(array: NDArray[Any], path: Path) -> NDArray[Any]:
    wrong = array.size - int(np.isfinite(array).sum())
    if wrong:
        raise ValueError(
            f"{path} has {wrong} voxels that are NaN or infinite, expected finite intensities; write a number, such as "
            "that of the background, into them"
        )
    return array


def _as_label(array: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    """Whole numbers; values that a resampling left within a thousandth of one are rounded."""
    values = np.unique(array)
    with np.errstate(invalid="ignore"):
        near = np.abs(values - np.round(values)) <= _ROUNDING
        wrong = values[~((values >= -_ROUNDING) & (values <= 255 + _ROUNDING) & near)]
    if len(wrong):
        shown = ", ".join(f"{value:.7g}" for value in wrong[:5].tolist())
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ValueError(
            f"{path} has the label values {shown}{more}; expected whole numbers from 0 to 255, as an annotation or "
            "label map has"
        )
    return np.round(array).astype(np.uint8)
