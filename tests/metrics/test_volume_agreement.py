# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Dice, volume difference and surface distances, by hand and on the organisers' example."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

from scripts.apps.reports.agreement import compare_volumes
from scripts.metrics import volume_agreement


def box(*ranges: tuple[int, int], shape: tuple[int, int, int] = (12, 10, 8)) -> torch.Tensor:
    mask = torch.zeros(shape, dtype=torch.uint8)
    mask[tuple(slice(*bounds) for bounds in ranges)] = 1
    return mask


def test_shifted_point() -> None:
    figures = volume_agreement(box((2, 3), (2, 3), (2, 3)), box((5, 6), (2, 3), (2, 3)), spacing=(2.0, 1, 1))
    assert figures == (0.0, 0.0, 6.0, 6.0)
    assert volume_agreement(box((2, 3), (2, 3), (2, 3)), box((2, 3), (2, 3), (4, 5)), (2.0, 1, 3)).mssd == 6


def test_against_a_search_for_nearest_points() -> None:
    generator = np.random.default_rng(0)
    spacing = np.array([0.7, 0.9, 2.5])
    masks = [box((2, 9), (2, 8), (0, 6)).numpy() > 0, box((3, 11), (1, 7), (0, 5)).numpy() > 0]
    masks[0] &= generator.random(masks[0].shape) < 0.9
    points = [np.argwhere(mask ^ binary_erosion(mask, border_value=1)) * spacing for mask in masks]
    distances = np.r_[cKDTree(points[1]).query(points[0])[0], cKDTree(points[0]).query(points[1])[0]]
    figures = volume_agreement(*map(torch.from_numpy, masks), spacing.tolist())
    assert figures.assd == pytest.approx(distances.mean(), abs=1e-6)
    assert figures.mssd == pytest.approx(distances.max(), abs=1e-6)
    sizes = [int(mask.sum()) for mask in masks]
    assert figures.dice == pytest.approx(2 * int((masks[0] & masks[1]).sum()) / sum(sizes))
    assert figures.ravd == pytest.approx(abs(sizes[0] - sizes[1]) / sizes[1])


def test_a_mask_cut_by_the_border_has_no_surface_there() -> None:
    cut = box((2, 6), (2, 6), (0, 4))
    assert volume_agreement(cut, box((2, 6), (2, 6), (0, 5)), (1, 1, 1)).mssd == 1
    full = torch.ones_like(cut)
    assert math.isnan(volume_agreement(cut, full, (1, 1, 1)).assd)


def test_empty_masks() -> None:
    empty, some = torch.zeros(4, 4, 4), box((1, 2), (1, 2), (1, 3), shape=(4, 4, 4))
    assert volume_agreement(empty, empty, (1, 1, 1)).dice == 1
    one = volume_agreement(empty, some, (1, 1, 1))
    assert (one.dice, one.ravd) == (0, 1)
    assert math.isnan(one.assd)
    assert math.isnan(volume_agreement(some, empty, (1, 1, 1)).ravd)


def test_errors() -> None:
    mask = torch.zeros(2, 2, 2)
    with pytest.raises(ValueError, match=r"one shape are expected, got \(2, 2, 2\) and \(2, 2, 3\)"):
        volume_agreement(mask, torch.zeros(2, 2, 3), (1, 1, 1))
    with pytest.raises(ValueError, match="three positive numbers in mm"):
        volume_agreement(mask, mask, (1, 0, 1))


@pytest.mark.slow
def test_published_figures_of_the_organisers(shared_data: Path) -> None:
    sample = shared_data / "CHAOS_CT_sample"
    figures = compare_volumes(sample / "Segmentation", sample / "Ground", image=sample / "DICOM_anon")
    assert round(figures.dice, 3) == 0.978
    assert round(100 * figures.ravd, 3) == 0.665
    assert round(figures.assd, 3) == 0.734
    assert round(figures.mssd, 3) == 14
