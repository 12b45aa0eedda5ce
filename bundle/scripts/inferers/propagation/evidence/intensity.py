# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Intensity: scaling of a volume in any unit, and the log ratio of two histograms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ....data.intensity_unit import SOFT_TISSUE_WINDOW, are_hounsfield_units, without_padding
from ..parameters import EvidenceParameters

__all__ = ["histogram_log_ratio", "intensity_range", "scale_intensity"]

_SAMPLES = 2_000_000


def intensity_range(volume: NDArray[Any]) -> tuple[float, float]:
    """The range of intensities that matters, for a volume of any unit.

    Padding is left out. A volume in Hounsfield units gets the soft-tissue window. Any other goes from its 0.5
    percentile to the 99.25 percentile of the body, which is what exceeds a tenth of the range: so the width of an empty
    margin hardly matters.
    """
    values = volume.reshape(-1)
    stride = max(1, values.size // _SAMPLES)
    values = without_padding(np.asarray(values[::stride], dtype=np.float32))
    if are_hounsfield_units(values):
        return SOFT_TISSUE_WINDOW
    low, high = np.percentile(values, (0.5, 99.9))
    body = values[values > low + 0.1 * (high - low)]
    return float(low), float(np.percentile(body, 99.25)) if len(body) else float(high)


def scale_intensity(image: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    """Map ``low`` to ``high`` linearly to 0 to 1 and clip."""
    scaled: NDArray[np.float32] = np.clip((np.asarray(image, dtype=np.float32) - low) / (high - low + 1e-6), 0.0, 1.0)
    return scaled


def histogram_log_ratio(
    image: NDArray[np.float32],
    foreground: NDArray[np.float32],
    background: NDArray[np.float32],
    parameters: EvidenceParameters,
) -> NDArray[np.float32]:
    """Log ratio of the foreground's to the background's intensity histogram at every pixel of an image.

    Args:
        image: (H, W), values in [0, 1].
        foreground: values of the foreground's pixels, any number.
        background: values of the background's pixels.
        parameters: bins, smoothing, floor and clip.
    """
    densities = []
    for values in (foreground, background):
        counts = np.bincount(_bins(values, parameters.histogram_bins), minlength=parameters.histogram_bins)
        density = gaussian_filter1d(counts.astype(float), parameters.histogram_smoothing)
        densities.append(density / max(1e-9, density.sum()) + parameters.histogram_floor)
    share = parameters.histogram_novelty
    densities[1] = (1 - share) * densities[1] + share / parameters.histogram_bins
    ratio = np.clip(np.log(densities[0] / densities[1]), -parameters.histogram_clip, parameters.histogram_clip)
    found: NDArray[np.float32] = ratio.astype(np.float32)[_bins(image, parameters.histogram_bins)]
    return found


def _bins(values: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    return np.clip((values * count).astype(np.intp), 0, count - 1)
