# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Write what was computed in the canonical orientation on the grid of the file it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from ..data.volume_names import volume_stem
from ..files.atomic import replace_when_done
from ..version import version
from .source_grid import SourceGrid, read_source_grid

_GEOMETRY = (
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("srow_x", "srow_y", "srow_z"),
)

__all__ = ["canonical_axis_in_file", "save_like", "volume_stem"]


def save_like(source: str | Path | SourceGrid, array: NDArray[Any], target: str | Path) -> Path:
    """Write a volume in the canonical orientation as NIfTI on the grid that it was read from.

    Axes are swapped and flipped, nothing is resampled; affine, codes and units are those of the source. Nothing else of
    its header is taken over: no window, intent, description or extension, which may hold a patient's name.

    Args:
        source: the NIfTI file, or DICOM series, whose grid is taken; or that grid.
        array: (X, Y, Z) in the canonical orientation; whole numbers are stored as uint8 or uint16, others as float32.
        target: a ``.nii.gz`` file, written beside and renamed.

    Returns:
        The written file.

    Raises:
        ValueError: when the array is not of the source's grid.
        OSError: when it can't be written.
    """
    grid = source if isinstance(source, SourceGrid) else read_source_grid(source)
    turned = grid.from_canonical(array)
    header = _scanner_header(grid.affine) if grid.header is None else _geometry_of(grid.header, grid.image_class)
    header.set_data_shape(grid.shape)
    header.set_data_dtype(_storage_type(turned))
    header.set_slope_inter(1.0, 0.0)
    header["descrip"] = _provenance()
    image = grid.image_class(turned.astype(header.get_data_dtype()), grid.affine, header)
    image.header.set_slope_inter(1.0, 0.0)
    with replace_when_done(target) as partial:
        nibabel.save(image, partial)
    return Path(target)


def canonical_axis_in_file(source: str | Path, axis: int) -> tuple[int, bool]:
    """Find an axis of the canonical orientation among a file's own.

    Args:
        source: NIfTI file, or DICOM series.
        axis: 0, 1 or 2 of (X, Y, Z).

    Returns:
        The axis in the file, and whether it runs the other way there.
    """
    return read_source_grid(source).own_axis(axis)


def _geometry_of(header: Any, image_class: Any) -> Any:
    """A new header with the geometry of another one, bit for bit."""
    fresh = image_class.header_class(endianness=header.endianness)
    for name in _GEOMETRY:
        fresh[name] = header[name]
    for axis in range(4):
        fresh["pixdim"][axis] = header["pixdim"][axis]
    fresh["xyzt_units"] = header["xyzt_units"]
    return fresh


def _provenance() -> bytes:
    """What made a file, in the 80 bytes that NIfTI has for it."""
    return f"CD-TG bundle {version()}"[:79].encode()


def _scanner_header(affine: NDArray[np.float64]) -> Any:
    """A header in mm of the scanner's coordinates."""
    header = nibabel.Nifti1Header()
    header.set_xyzt_units("mm")
    header.set_qform(affine, code=1)
    header.set_sform(affine, code=1)
    return header


def _storage_type(array: NDArray[Any]) -> type[np.generic]:
    if not np.issubdtype(array.dtype, np.integer) and array.dtype != bool:
        return np.float32
    largest = int(array.max(initial=0))
    if largest > np.iinfo(np.uint16).max or int(array.min(initial=0)) < 0:
        raise ValueError(f"label values must be between 0 and 65535, got up to {largest}")
    return np.uint8 if largest <= np.iinfo(np.uint8).max else np.uint16
