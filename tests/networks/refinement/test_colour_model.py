# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Colours: Lab against scikit-image, histograms against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2lab

from scripts.networks.refinement.colour_model import ColourHistogram, lab_map, rgb_to_lab


def test_lab_agrees_with_scikit_image() -> None:
    image = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    image[0, :, 0, 0], image[0, :, 0, 1], image[0, :, 0, 2] = 0.0, 1.0, 0.02
    found = rgb_to_lab(image).permute(0, 2, 3, 1).numpy()
    assert np.allclose(found, rgb2lab(image.permute(0, 2, 3, 1).numpy()), atol=2e-2)


def test_grey_has_no_colour() -> None:
    lab = rgb_to_lab(torch.linspace(0, 1, 11).view(1, 1, 1, 11).expand(1, 3, 1, 11))
    assert lab[:, 1:].abs().max() < 0.05
    assert lab[0, 0, 0].diff().min() > 0


@pytest.mark.parametrize("size", [(40, 40), (57, 31), (6, 5)])
def test_lab_map_has_the_grid(size: tuple[int, int]) -> None:
    image = torch.full((2, 3, *size), 0.4)
    assert torch.allclose(lab_map(image, 10), rgb_to_lab(image)[:, :, :1, :1].expand(2, 3, 10, 10), atol=1e-4)


def test_log_ratio_by_loop() -> None:
    rng = np.random.default_rng(1)
    lab = rng.normal(size=(12, 10, 3)) * (20, 5, 1)
    weight = rng.random((12, 10))
    bins = 4
    colours = lab.reshape(-1, 3)
    low, high = np.percentile(colours, 0.5, axis=0), np.percentile(colours, 99.5, axis=0)
    widest = max(high - low)
    counts = np.zeros((2, bins, bins, bins))
    place = []
    for colour, w in zip(colours, weight.ravel(), strict=True):
        index = tuple(
            int(min(max((c - a) / max(z - a, widest / 4) * (bins - 1e-3), 0), bins - 1))
            for c, a, z in zip(colour, low, high, strict=True)
        )
        place.append(index)
        counts[(0, *index)] += w
        counts[(1, *index)] += 1 - w
    smooth = [gaussian_filter(c, 1.0, mode="constant") for c in counts]
    inside, outside = (c / (c.sum() + 1e-6) + 1e-3 / bins**3 for c in smooth)
    expected = np.array([np.clip(np.log(inside[i] / outside[i]), -0.7, 0.7) for i in place]).reshape(12, 10)
    assert np.allclose(ColourHistogram(lab, bins).log_ratio(weight, 0.7), expected)
    assert expected.std() > 0


def test_inside_colours_get_positive_ratios() -> None:
    lab = np.zeros((20, 20, 3))
    lab[5:15, 5:15] = (60, 10, 10)
    weight = np.zeros((20, 20))
    weight[5:15, 5:14] = 1  # a column is missing: its colour still says inside
    ratio = ColourHistogram(lab).log_ratio(weight)
    assert (ratio[5:15, 5:15] > 1).all()
    assert (ratio[:5] < -1).all()


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_constant_image_and_extreme_masks_stay_finite(weight: float) -> None:
    histogram = ColourHistogram(np.full((8, 8, 3), 3.0))
    ratio = histogram.log_ratio(np.full((8, 8), weight))
    assert np.isfinite(ratio).all()
    assert np.abs(ratio).max() <= 2.0
