# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Write the result of a whole volume: label map, probability, and a table of the slices worth a look."""

from __future__ import annotations

import logging
import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor

from scripts.apps.atomic import write_csv
from scripts.transforms.save_volume import canonical_axis_in_file, save_like, volume_stem

__all__ = ["SaveResultd"]

_COLUMNS = ("slice", "label", "area", "confidence")


class SaveResultd(MapTransform):
    """Write ``<stem>_seg.nii.gz``, ``<stem>_slices.csv`` and, where there is one, ``<stem>_probability.nii.gz``.

    The files have the grid and affine of the image's file; ``slice`` counts along that file's own axis.

    Args:
        keys: entry with the inferer's result (``label`` (1, 1, X, Y, Z) in the canonical orientation).
        output_dir: folder of the files.
        image_key: entry with the image, whose metadata names its file.
    """

    def __init__(self, keys: KeysCollection, output_dir: str | os.PathLike[str], image_key: str = "image") -> None:
        super().__init__(keys)
        self.output_dir = Path(output_dir)
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the files of one volume and leave the data as they are."""
        source = _source_file(data[self.image_key])
        for key in self.key_iterator(dict(data)):
            for path in self._write(source, data[key]):
                logging.getLogger(__name__).info("wrote %s", path)
        return dict(data)

    def _write(self, source: str, result: Any) -> list[Path]:
        stem = volume_stem(source)
        written = [save_like(source, _as_volume(result.label), self.output_dir / f"{stem}_seg.nii.gz")]
        if result.probability is not None:
            probability = _as_volume(result.probability).astype(np.float32)
            written.append(save_like(source, probability, self.output_dir / f"{stem}_probability.nii.gz"))
        file_axis, is_reversed = canonical_axis_in_file(source, result.slice_axis)
        last = result.label.shape[2 + result.slice_axis] - 1
        rows = sorted(
            (last - report.slice if is_reversed else report.slice, report.label, report.area, report.confidence)
            for report in result.slices
        )
        table = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        written.append(write_csv(self.output_dir / f"{stem}_slices.csv", table, _COLUMNS))
        logging.getLogger(__name__).info("slices are counted along axis %d of %s", file_axis, source)
        for label, dice in result.predicted_dice.items():
            logging.getLogger(__name__).info("label %d: Dice %.2f predicted from the volume itself", label, dice)
        return written


def _as_volume(value: Tensor) -> np.ndarray:
    return torch.as_tensor(value)[0, 0].cpu().numpy()


def _source_file(image: Any) -> str:
    name = image.meta["filename_or_obj"]
    return name if isinstance(name, str) else name[0]
