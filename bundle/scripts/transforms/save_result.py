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
from monai.config.type_definitions import KeysCollection
from monai.transforms.transform import MapTransform
from torch import Tensor

from ..data.class_names import name_labels
from .result_files import write_result_files
from .source_grid import read_source_grid

__all__ = ["SaveResultd"]


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
        class_names: names of the labels in the order of their values, for ``<stem>_labels.csv`` and the segments of a
            DICOM-SEG; as many as the result has labels.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str | os.PathLike[str],
        image_key: str = "image",
        class_names: Sequence[str] = (),
    ) -> None:
        super().__init__(keys)
        self.output_dir = Path(output_dir).expanduser()
        self.image_key = image_key
        self.class_names = list(class_names)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the files of one volume and leave the data as they are."""
        image = data[self.image_key]
        grid = read_source_grid(_text(image, "filename_or_obj"), _text(image, "series_uid"))
        for key in self.key_iterator(dict(data)):
            result = data[key]
            written = write_result_files(
                grid,
                _as_volume(result.label),
                result.slices,
                self.output_dir,
                slice_axis=result.slice_axis,
                probability=None if result.probability is None else _as_volume(result.probability),
                predicted_dice=result.predicted_dice,
                names=name_labels(sorted({report.label for report in result.slices}), self.class_names),
            )
            for path in written:
                logging.getLogger(__name__).info("wrote %s", path)
        return dict(data)


def _as_volume(value: Tensor) -> np.ndarray:
    return torch.as_tensor(value)[0, 0].cpu().numpy()


def _text(image: Any, key: str) -> Any:
    """An entry of the metadata, which collating may have put into a list."""
    value = image.meta.get(key)
    return value[0] if isinstance(value, (list, tuple)) else value
