# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Write the result of a whole volume: label map, probability, and a table of the slices worth a look."""

from __future__ import annotations

import logging
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor

from ..files.atomic import write_csv
from .save_dicom_segmentation import save_dicom_segmentation
from .save_volume import save_like, volume_stem
from .source_grid import SourceGrid, read_source_grid

__all__ = ["SaveResultd"]

_COLUMNS = ("slice", "label", "area", "confidence")
_LABEL_COLUMNS = ("label", "voxels", "predicted_dice")


class SaveResultd(MapTransform):
    """Write ``<stem>_seg.nii.gz``, ``<stem>_slices.csv`` and, where there is one, ``<stem>_probability.nii.gz``.

    Where the inferer checks itself there is also ``<stem>_labels.csv``: per label its voxels and the Dice that is
    expected of it.

    The files have the grid and affine of the image's file or series; ``slice`` counts along its own axis. For a DICOM
    series there is also ``<stem>_seg.dcm``, a DICOM-SEG that refers to it.

    Args:
        keys: entry with the inferer's result (``label`` (1, 1, X, Y, Z) in the canonical orientation).
        output_dir: folder of the files.
        image_key: entry with the image, whose metadata names its file.
        class_names: names of the labels in the order of their values, for the segments of a DICOM-SEG.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str | os.PathLike[str],
        image_key: str = "image",
        class_names: Sequence[str] = (),
    ) -> None:
        super().__init__(keys)
        self.output_dir = Path(output_dir)
        self.image_key = image_key
        self.class_names = list(class_names)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the files of one volume and leave the data as they are."""
        image = data[self.image_key]
        grid = read_source_grid(_text(image, "filename_or_obj"), _text(image, "series_uid"))
        for key in self.key_iterator(dict(data)):
            for path in self._write(grid, data[key]):
                logging.getLogger(__name__).info("wrote %s", path)
        return dict(data)

    def _write(self, grid: SourceGrid, result: Any) -> list[Path]:
        stem = volume_stem(grid.source)
        label = _as_volume(result.label)
        written = [save_like(grid, label, self.output_dir / f"{stem}_seg.nii.gz")]
        if grid.series is not None:
            written += self._write_dicom(grid, label, self.output_dir / f"{stem}_seg.dcm")
        if result.probability is not None:
            probability = _as_volume(result.probability).astype(np.float32)
            written.append(save_like(grid, probability, self.output_dir / f"{stem}_probability.nii.gz"))
        file_axis, is_reversed = grid.own_axis(result.slice_axis)
        last = result.label.shape[2 + result.slice_axis] - 1
        rows = sorted(
            (last - report.slice if is_reversed else report.slice, report.label, report.area, report.confidence)
            for report in result.slices
        )
        table = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        written.append(write_csv(self.output_dir / f"{stem}_slices.csv", table, _COLUMNS))
        logging.getLogger(__name__).info("slices are counted along axis %d of %s", file_axis, grid.source)
        if result.predicted_dice:
            labels = [
                {"label": value, "voxels": int((label == value).sum()), "predicted_dice": round(dice, 4)}
                for value, dice in result.predicted_dice.items()
            ]
            written.append(write_csv(self.output_dir / f"{stem}_labels.csv", labels, _LABEL_COLUMNS))
        return written

    def _write_dicom(self, grid: SourceGrid, label: np.ndarray, target: Path) -> list[Path]:
        """The label map is written as NIfTI already: a series that no DICOM-SEG can refer to is no reason to stop."""
        values = [int(value) for value in np.unique(label) if value]
        names = dict(zip(values, self.class_names, strict=False)) if len(values) == len(self.class_names) else {}
        try:
            return [save_dicom_segmentation(grid, label, target, names)]
        except ValueError as error:
            logging.getLogger(__name__).warning("no %s was written: %s", target, error)
            return []


def _as_volume(value: Tensor) -> np.ndarray:
    return torch.as_tensor(value)[0, 0].cpu().numpy()


def _text(image: Any, key: str) -> Any:
    """An entry of the metadata, which collating may have put into a list."""
    value = image.meta.get(key)
    return value[0] if isinstance(value, (list, tuple)) else value
