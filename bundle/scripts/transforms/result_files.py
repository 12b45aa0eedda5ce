# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The files of a segmented volume: label map, probability, DICOM-SEG, and tables of its slices and labels."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..data.volume_names import volume_stem
from ..files.atomic import write_csv
from .save_volume import save_like
from .source_grid import SourceGrid

__all__ = ["SliceRow", "write_result_files"]

_COLUMNS = ("slice", "label", "area", "confidence", "state")
_LABEL_COLUMNS = ("label", "name", "voxels", "ml", "predicted_dice")


class SliceRow(Protocol):
    """What a report says of one label on one slice."""

    @property
    def slice(self) -> int:
        """Number of the slice along the result's axis."""
        ...

    @property
    def label(self) -> int:
        """Label value."""
        ...

    @property
    def area(self) -> int:
        """Pixels."""
        ...

    @property
    def confidence(self) -> float:
        """From 0 (look here) to 1."""
        ...

    @property
    def state(self) -> str:
        """``annotated``, ``predicted`` or ``absent``."""
        ...


def write_result_files(
    grid: SourceGrid,
    label: NDArray[Any],
    slices: Sequence[SliceRow],
    output_dir: str | Path,
    *,
    slice_axis: int,
    probability: NDArray[Any] | None = None,
    predicted_dice: Mapping[int, float] | None = None,
    names: Mapping[int, str] | None = None,
) -> list[Path]:
    """Write ``<stem>_seg.nii.gz``, ``<stem>_slices.csv`` and what else there is.

    ``<stem>_probability.nii.gz`` where a probability is given; ``<stem>_labels.csv`` where Dice was predicted;
    ``<stem>_seg.dcm``, a DICOM-SEG, where the grid is that of a DICOM series. The files have the grid and affine of the
    source, and slices are counted along its own axis.

    Args:
        grid: of the image's file or series.
        label: (X, Y, Z) label values in the canonical orientation.
        slices: reports, slices counted along ``slice_axis`` of the canonical orientation.
        output_dir: folder of the files.
        slice_axis: 0, 1 or 2 of (X, Y, Z).
        probability: (X, Y, Z) in [0, 1].
        predicted_dice: by label value.
        names: by label value; others are called ``label <value>``.

    Returns:
        The written files.
    """
    folder, stem, names = Path(output_dir), volume_stem(grid.source), names or {}
    written = [save_like(grid, label, folder / f"{stem}_seg.nii.gz")]
    if grid.series is not None:
        written += _write_dicom(grid, label, folder / f"{stem}_seg.dcm", names)
    if probability is not None:
        written.append(save_like(grid, probability.astype(np.float32), folder / f"{stem}_probability.nii.gz"))
    file_axis, is_reversed = grid.own_axis(slice_axis)
    last = label.shape[slice_axis] - 1
    rows = sorted(
        (last - each.slice if is_reversed else each.slice, each.label, each.area, each.confidence, each.state)
        for each in slices
    )
    table = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
    written.append(write_csv(folder / f"{stem}_slices.csv", table, _COLUMNS))
    logging.getLogger(__name__).info("slices are counted along axis %d of %s", file_axis, grid.source)
    if predicted_dice:
        millilitres = abs(float(np.linalg.det(grid.affine[:3, :3]))) / 1000
        labels = []
        for value, dice in predicted_dice.items():
            voxels = int((label == value).sum())
            name, volume = names.get(value, f"label {value}"), round(voxels * millilitres, 3)
            labels.append(dict(zip(_LABEL_COLUMNS, (value, name, voxels, volume, round(dice, 4)), strict=True)))
        written.append(write_csv(folder / f"{stem}_labels.csv", labels, _LABEL_COLUMNS))
    return written


def _write_dicom(grid: SourceGrid, label: NDArray[Any], target: Path, names: Mapping[int, str]) -> list[Path]:
    """The label map is written as NIfTI already: a series that no DICOM-SEG can refer to is no reason to stop."""
    from .save_dicom_segmentation import save_dicom_segmentation

    try:
        return [save_dicom_segmentation(grid, label, target, names)]
    except ValueError as error:
        logging.getLogger(__name__).warning("no %s was written: %s", target, error)
        return []
