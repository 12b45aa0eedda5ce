# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The grid of the file or series that a volume was read from, which results are written on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import nibabel
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform
from numpy.typing import NDArray

from ..data.itk_file import is_itk_name, read_itk
from ..data.nifti_file import read_nifti_header
from ..data.volume_names import is_dicom_source
from ..data.volume_reader import CANONICAL_AXES

if TYPE_CHECKING:
    from ..data.dicom.series import DicomSeries

__all__ = ["SourceGrid", "read_source_grid"]


class SourceGrid(NamedTuple):
    """Shape and orientation of a source, and how it is stored as NIfTI.

    Attributes:
        source: NIfTI file, or folder or file of a DICOM series.
        shape: (X, Y, Z) in the source's own order of axes; of a series columns, rows, slices.
        affine: (4, 4) in mm to the right, front and head.
        image_class: nibabel's class of the NIfTI that is written.
        header: NIfTI header to copy; None for DICOM.
        series: the DICOM series; None for NIfTI.
    """

    source: str | Path
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    image_class: type
    header: Any = None
    series: DicomSeries | None = None

    def to_canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """Swap and flip the axes of a volume, or of a slab of it, into the canonical orientation; a view."""
        turned: NDArray[Any] = apply_orientation(
            array, ornt_transform(io_orientation(self.affine), axcodes2ornt(CANONICAL_AXES))
        )
        return turned

    def from_canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """Swap and flip the axes of a volume in the canonical orientation; nothing is resampled.

        Raises:
            ValueError: when the array is not of this grid.
        """
        turned: NDArray[Any] = apply_orientation(
            array, ornt_transform(axcodes2ornt(CANONICAL_AXES), io_orientation(self.affine))
        )
        if turned.shape != self.shape:
            raise ValueError(f"a result of shape {turned.shape} does not fit the grid {self.shape} of {self.source}")
        return turned

    def own_axis(self, axis: int) -> tuple[int, bool]:
        """The source's axis that is an axis of the canonical orientation, and whether it runs the other way there."""
        to_canonical = ornt_transform(io_orientation(self.affine), axcodes2ornt(CANONICAL_AXES))
        file_axis = int(np.flatnonzero(to_canonical[:, 0] == axis)[0])
        return file_axis, bool(to_canonical[file_axis, 1] < 0)


def read_source_grid(source: str | Path, series_uid: str | None = None) -> SourceGrid:
    """Read the grid from the headers.

    Args:
        source: NIfTI file, or folder or file of a DICOM series.
        series_uid: SeriesInstanceUID, where the folder holds several series.
    """
    if is_dicom_source(source):
        from ..data.dicom.series import find_series

        series = find_series(source, series_uid)
        return SourceGrid(source, series.shape, series.affine, nibabel.Nifti1Image, series=series)
    if is_itk_name(source):
        array, affine = read_itk(Path(source))
        return SourceGrid(source, (array.shape[0], array.shape[1], array.shape[2]), affine, nibabel.Nifti1Image)
    reference = read_nifti_header(Path(source))
    return SourceGrid(source, reference.shape[:3], reference.affine, type(reference), reference.header)
