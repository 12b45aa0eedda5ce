# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Write what was computed in the canonical orientation on the grid of the file it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform
from numpy.typing import NDArray

from scripts.apps.atomic import replace_when_done
from scripts.data.volume_reader import CANONICAL_AXES

__all__ = ["canonical_axis_in_file", "save_like", "volume_stem"]


def volume_stem(path: str | Path) -> str:
    """File name without ``.nii`` or ``.nii.gz``."""
    name = Path(path).name
    for suffix in (".nii.gz", ".nii"):
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return Path(name).stem


def save_like(source: str | Path, array: NDArray[Any], target: str | Path) -> Path:
    """Write a volume in the canonical orientation on the grid of a NIfTI file.

    Axes are swapped and flipped, nothing is resampled; affine, codes and units are those of the source.

    Args:
        source: the NIfTI file whose grid is taken.
        array: (X, Y, Z) in the canonical orientation; whole numbers are stored as uint8 or uint16, others as float32.
        target: a ``.nii.gz`` file, written beside and renamed.

    Returns:
        The written file.

    Raises:
        ValueError: when the array is not of the source's grid.
        OSError: when it can't be written.
    """
    reference: Any = nibabel.load(source)
    shape = reference.shape[:3]
    own = io_orientation(reference.affine)
    turned = apply_orientation(array, ornt_transform(axcodes2ornt(CANONICAL_AXES), own))
    if turned.shape != shape:
        raise ValueError(f"a result of shape {turned.shape} does not fit the grid {shape} of {source}")
    header = reference.header.copy()
    header.set_data_shape(shape)
    header.set_data_dtype(_storage_type(turned))
    header.set_slope_inter(1.0, 0.0)
    image = type(reference)(turned.astype(header.get_data_dtype()), reference.affine, header)
    image.header.set_slope_inter(1.0, 0.0)
    with replace_when_done(target) as partial:
        nibabel.save(image, partial)
    return Path(target)


def canonical_axis_in_file(source: str | Path, axis: int) -> tuple[int, bool]:
    """Find an axis of the canonical orientation among a file's own.

    Args:
        source: NIfTI file.
        axis: 0, 1 or 2 of (X, Y, Z).

    Returns:
        The axis in the file, and whether it runs the other way there.
    """
    own = io_orientation(nibabel.load(source).affine)  # type: ignore[attr-defined]
    to_canonical = ornt_transform(own, axcodes2ornt(CANONICAL_AXES))
    file_axis = int(np.flatnonzero(to_canonical[:, 0] == axis)[0])
    return file_axis, bool(to_canonical[file_axis, 1] < 0)


def _storage_type(array: NDArray[Any]) -> type[np.generic]:
    if not np.issubdtype(array.dtype, np.integer) and array.dtype != bool:
        return np.float32
    largest = int(array.max(initial=0))
    if largest > np.iinfo(np.uint16).max or int(array.min(initial=0)) < 0:
        raise ValueError(f"label values must be between 0 and 65535, got up to {largest}")
    return np.uint8 if largest <= np.iinfo(np.uint8).max else np.uint16
