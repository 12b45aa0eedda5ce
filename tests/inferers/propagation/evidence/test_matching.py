# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Dense matching of cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scripts.inferers.propagation.evidence.matching import cell_coverage, choose_cells, match, upsample


def test_match_against_a_plain_loop():
    generator = torch.Generator().manual_seed(0)
    levels = ("c3", "c4")
    query, support = (
        {level: torch.nn.functional.normalize(torch.randn(6, 16, generator=generator), dim=0) for level in levels}
        for _ in range(2)
    )
    cells, foreground, background = np.array([0, 5, 9]), np.array([1, 2, 6, 7]), np.array([3, 12])
    score = match(query, support, cells, foreground, background, levels, top_k=3, grid=(4, 4))
    for cell in range(16):
        expected = -1.0
        if cell in cells:
            expected = 0.0
            for level in levels:
                cosines = query[level][:, cell] @ support[level]
                inside = sorted((float(cosines[other]) for other in foreground), reverse=True)[:3]
                outside = sorted((float(cosines[other]) for other in background), reverse=True)[:3]
                expected += np.mean(inside) - np.mean(outside)
        assert score.ravel()[cell] == pytest.approx(expected, abs=1e-6)


def test_match_with_itself_hides_the_own_place():
    unit = {"c3": torch.eye(16)}
    cells = np.arange(16)
    hidden = match(unit, unit, cells, cells, cells[:0], ("c3",), top_k=1, grid=(4, 4), excluded_radius=1)
    shown = match(unit, unit, cells, cells, cells[:0], ("c3",), top_k=1, grid=(4, 4))
    assert (hidden == 0).all()
    assert (shown == 1).all()


def test_choose_cells_keeps_the_best_of_a_small_mask():
    coverage = np.array([0.0, 0.2, 0.4, 0.4], np.float32)
    assert choose_cells(coverage, 0.5).tolist() == [2, 3]
    assert choose_cells(coverage, 0.3).tolist() == [2, 3]
    assert choose_cells(np.zeros(4, np.float32), 0.5).size == 0


def test_cell_coverage_is_the_share_of_pixels():
    mask = np.zeros((8, 8), bool)
    mask[:4, :2] = True
    assert cell_coverage(mask, (2, 2)).tolist() == [0.5, 0.0, 0.0, 0.0]


def test_upsampling_is_bilinear_between_cell_centres():
    assert upsample(np.array([[0.0, 4.0]], np.float32), (1, 4))[0].tolist() == [0, 1, 3, 4]
