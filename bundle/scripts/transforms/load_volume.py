# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Load volumes in the canonical orientation, and cut upright slices out of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config.type_definitions import KeysCollection
from monai.transforms.transform import MapTransform
from torch import Tensor

from ..data.mask_values import check_annotation
from ..data.volume_reader import GRID_TOLERANCE, Volume, check_same_grid, on_grid_of, read_volume

__all__ = ["LoadVolumed", "volume_slice"]

_ANNOTATION = "annotation"


class LoadVolumed(MapTransform):
    """Read NIfTI files or DICOM series in the orientation LPS: (1, X, Y, Z), axes to the patient's left, back and head.

    The first key is the image (float32); the others are label maps of the same grid (uint8). Where the image is a
    DICOM series, they may also be DICOM-SEG files or folders of pictures, see `read_volume`; an entry ``series_uid``
    chooses among the series of its folder. An entry ``annotation``, in which 255 means not annotated, must hold a
    label.

    Args:
        keys: entries that hold a path.
        allow_missing_keys: see MONAI.
        channel: number of the part of an image with a fourth axis, from 0; None where images have three axes.
        grid_tolerance: how far the corners of image and label map may lie apart, of the smallest voxel side.
    """

    def __init__(
        self,
        keys: KeysCollection,
        allow_missing_keys: bool = False,
        grid_tolerance: float = GRID_TOLERANCE,
        channel: int | None = None,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.channel = channel
        self.grid_tolerance = grid_tolerance

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the paths by MetaTensors."""
        result = dict(data)
        image_key = self.keys[0]
        choice = {"image": result.get(image_key), "series_uid": result.get("series_uid")}
        image: Volume | None = None
        for key in self.key_iterator(result):
            is_label = key != image_key
            volume = read_volume(result[key], is_label=is_label, channel=None if is_label else self.channel, **choice)
            if key == image_key:
                image = volume
            elif image is not None:
                volume = on_grid_of(image, volume)
                check_same_grid(image, volume, tolerance=self.grid_tolerance)
            if key == _ANNOTATION:
                check_annotation(volume.array, volume.source)
            result[key] = volume.as_meta_tensor()
        return result


def volume_slice(volume: Tensor, z: int) -> Tensor:
    """Cut one slice as it is shown: front on top, the patient's right side on the left.

    Args:
        volume: (C, X, Y, Z) in the canonical orientation.
        z: number of the slice, counted from the feet.

    Returns:
        (C, Y, X), a plain tensor.
    """
    plane = volume[..., z]
    plane = plane.as_tensor() if hasattr(plane, "as_tensor") else plane
    return plane.transpose(-1, -2).contiguous()
