# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Intensities of a whole volume to [0, 1], in floating point, never through 8 bits."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection
from monai.transforms.transform import MapTransform
from numpy.typing import NDArray
from skimage.filters import threshold_otsu
from torch import Tensor

from ..data.intensity_unit import SOFT_TISSUE_WINDOW, are_hounsfield_units, check_window, without_padding

__all__ = ["ScaleIntensityBodyd", "ScaleIntensityWindowd", "body_range", "scale_to_unit", "volume_range"]

_MOST_VOXELS = 4_000_000  # a sample of this size tells the percentiles of larger volumes


def body_range(volume: Tensor, lower: float = 0.5, upper: float = 99.5) -> tuple[float, float]:
    """Intensities that become 0 and 1.

    Padding, and voxels of the lowest value of all others (cut-off noise), are empty and count nowhere, so that
    cropping or adding an empty margin changes nothing. The lower end is a percentile of the other voxels; the upper end
    a percentile of the body: of those of them on the bright side of Otsu's two classes, so that a noisy background
    doesn't dim the image.

    Args:
        volume: any shape, any numeric type.
        lower: percentile of the voxels that aren't empty.
        upper: percentile of the body.

    Returns:
        The two intensities; equal when the volume is constant.
    """
    values = _measured(volume)
    occupied = values[values > values.min()]
    if not occupied.size:
        return float(values[0]), float(values[0])
    low = float(np.percentile(occupied, lower))
    trimmed = np.minimum(occupied, np.percentile(occupied, upper))  # one hot voxel would stretch the histogram
    threshold = _body_threshold(trimmed)
    high = float(np.percentile(occupied[occupied > threshold], upper))
    return (low, high) if high > low else (float(values.min()), high)


def volume_range(volume: Tensor, lower: float = 0.5, upper: float = 99.5) -> tuple[float, float]:
    """Intensities that become 0 and 1: the soft-tissue window in Hounsfield units, else those of ``body_range``.

    Args:
        volume: any shape, any numeric type.
        lower: see ``body_range``.
        upper: see ``body_range``.
    """
    return SOFT_TISSUE_WINDOW if are_hounsfield_units(_measured(volume)) else body_range(volume, lower, upper)


def scale_to_unit(volume: Tensor, low: float, high: float) -> Tensor:
    """Map [low, high] to [0, 1] and clip; a range of no width gives zeros. Keeps the shape and the kind of tensor."""
    if high <= low:
        return torch.zeros_like(volume, dtype=torch.float32)
    return ((volume.to(torch.float32) - low) / (high - low)).clamp(0, 1)


class ScaleIntensityBodyd(MapTransform):
    """Scale each volume: a CT by the soft-tissue window, MR and whatever has no fixed unit by percentiles of its body.

    Support and query pass the same transform, in evaluation and in inference, so that a tissue has one brightness. That
    a volume is a CT is told by its values (``are_hounsfield_units``), so a crop without any air may need the window.

    Args:
        keys: entries to scale; a whole volume each, never single slices.
        lower: percentile that becomes 0.
        upper: percentile that becomes 1.
        allow_missing_keys: see MONAI.
        window: intensities that become 0 and 1 in every volume; None finds them, see ``volume_range``.
    """

    def __init__(
        self,
        keys: KeysCollection,
        lower: float = 0.5,
        upper: float = 99.5,
        allow_missing_keys: bool = False,
        window: Sequence[float] | None = None,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if not 0 <= lower < upper <= 100:
            raise ValueError(f"percentiles must rise within 0 to 100, got lower {lower} and upper {upper}")
        self.lower = lower
        self.upper = upper
        self.window = None if window is None else check_window(window)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Scale the entries; refuses values that aren't finite."""
        result = dict(data)
        for key in self.key_iterator(result):
            volume = _finite_tensor(result[key], key)
            low, high = self.window or volume_range(volume, self.lower, self.upper)
            result[key] = scale_to_unit(volume, low, high)
        return result


class ScaleIntensityWindowd(MapTransform):
    """Scale by a fixed window: for CT, in Hounsfield units (for example -150 to 250 for soft tissue).

    Args:
        keys: entries to scale.
        minimum: intensity that becomes 0.
        maximum: intensity that becomes 1.
        allow_missing_keys: see MONAI.
    """

    def __init__(self, keys: KeysCollection, minimum: float, maximum: float, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.minimum, self.maximum = check_window((minimum, maximum))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Scale the entries; refuses values that aren't finite."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = scale_to_unit(_finite_tensor(result[key], key), self.minimum, self.maximum)
        return result


def _body_threshold(values: NDArray[np.float32]) -> float:
    """Halfway between the means of Otsu's classes; his own threshold hugs the lower one where a gap lies between."""
    if values.min() == values.max():
        return float("-inf")
    bright = values > threshold_otsu(values)
    return float((values[bright].mean() + values[~bright].mean()) / 2)


def _measured(volume: Tensor) -> NDArray[np.float32]:
    """A sample of the values (N,) without padding."""
    values = volume.detach().cpu().numpy()
    step = int(np.ceil((values.size / _MOST_VOXELS) ** (1 / values.ndim)))
    return without_padding(values[(slice(None, None, step),) * values.ndim].astype(np.float32).ravel())


def _finite_tensor(volume: Any, key: Hashable) -> Tensor:
    tensor = torch.as_tensor(volume) if not isinstance(volume, Tensor) else volume
    wrong = int((~torch.isfinite(tensor)).sum())
    if wrong:
        name = getattr(volume, "meta", {}).get("filename_or_obj", f"the entry {key!r}")
        raise ValueError(f"{name} has {wrong} voxels that are NaN or infinite, expected finite intensities")
    return tensor
