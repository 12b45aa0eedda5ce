# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Dictionary transforms: loading, intensities, the frozen backbone's features."""

from .encode_features import EncodeFeaturesd
from .flip_if_flagged import FlipIfFlaggedd
from .intensity import ScaleIntensityBodyd, ScaleIntensityWindowd, body_range, scale_to_unit
from .load_item import LoadItemd, load_picture, load_picture_label
from .load_volume import LoadVolumed, volume_slice
from .resize_image import ResizeImaged
from .save_result import SaveResultd

__all__ = [
    "EncodeFeaturesd",
    "FlipIfFlaggedd",
    "LoadItemd",
    "LoadVolumed",
    "ResizeImaged",
    "SaveResultd",
    "ScaleIntensityBodyd",
    "ScaleIntensityWindowd",
    "body_range",
    "load_picture",
    "load_picture_label",
    "scale_to_unit",
    "volume_slice",
]
