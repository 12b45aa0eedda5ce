# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The minimum cut against all labellings of tiny grids."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.networks.refinement.minimum_cut import DIRECTIONS, contrast_links, cut_energy, minimum_cut

SHAPES = [(1, 1), (1, 5), (5, 1), (2, 2), (3, 3), (2, 5), (3, 4)]


def random_problem(shape: tuple[int, int], seed: int, strength: float) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Unary terms and links, all multiples of 1/1000, so that rounding changes nothing."""
    rng = np.random.default_rng(seed)
    unary = np.round(rng.normal(size=shape) * 2, 3)
    height, width = shape
    links = tuple(
        np.round(rng.random((max(0, height - row), max(0, width - abs(column)))) * strength, 3)
        for row, column, _ in DIRECTIONS
    )
    return unary, links


def all_labellings(shape: tuple[int, int]) -> np.ndarray:
    """(2^n, h, w) bool."""
    size = shape[0] * shape[1]
    return np.array(list(itertools.product([False, True], repeat=size))).reshape(-1, *shape)


def energy_by_loop(labels: np.ndarray, unary: np.ndarray, links: tuple[np.ndarray, ...]) -> float:
    """The energy as it stands in the docstring."""
    height, width = labels.shape
    energy = -sum(unary[i, j] for i in range(height) for j in range(width) if labels[i, j])
    for weight, (row, column, _) in zip(links, DIRECTIONS, strict=True):
        for i in range(height - row):
            for j in range(width):
                if 0 <= j + column < width:
                    differs = labels[i, j] != labels[i + row, j + column]
                    energy += weight[i, j - max(0, -column)] * differs
    return float(energy)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("strength", [0.0, 0.5, 2.0, 10.0])
def test_no_labelling_is_better(shape: tuple[int, int], strength: float) -> None:
    for seed in range(6):
        unary, links = random_problem(shape, seed, strength)
        found = minimum_cut(unary, links)
        least = min(energy_by_loop(labels, unary, links) for labels in all_labellings(shape)[:: 1 if seed < 2 else 3])
        assert energy_by_loop(found, unary, links) <= least + 1e-9
        assert cut_energy(found, unary, links) == pytest.approx(energy_by_loop(found, unary, links))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=9, max_size=9),
    st.lists(st.integers(0, 2), min_size=24, max_size=24),
)
def test_ties_go_to_the_smallest_foreground(unary_values: list[int], link_values: list[int]) -> None:
    unary = np.array(unary_values, dtype=float).reshape(3, 3)
    stream = iter(link_values)
    links = tuple(
        np.array([[next(stream) for _ in range(3 - abs(column))] for _ in range(3 - row)], dtype=float).reshape(
            3 - row, 3 - abs(column)
        )
        for row, column, _ in DIRECTIONS
    )
    found = minimum_cut(unary, links)
    energies = np.array([energy_by_loop(labels, unary, links) for labels in all_labellings((3, 3))])
    best = all_labellings((3, 3))[energies <= energies.min() + 1e-9]
    assert energy_by_loop(found, unary, links) == pytest.approx(energies.min())
    assert np.array_equal(found, best.all(axis=0))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 25), st.integers(2, 25), st.floats(0.0, 5.0))
def test_a_larger_unary_term_never_shrinks_the_mask(seed: int, height: int, width: int, strength: float) -> None:
    unary, links = random_problem((height, width), seed, strength)
    assert (minimum_cut(unary, links) <= minimum_cut(unary + 0.5, links)).all()


def test_flipping_the_problem_flips_the_mask() -> None:
    rng = np.random.default_rng(0)
    lab, unary = rng.random((20, 30, 3)) * 50, rng.normal(size=(20, 30)) * 3
    mask = minimum_cut(unary, contrast_links(lab))
    mirrored = minimum_cut(unary[:, ::-1], contrast_links(lab[:, ::-1]))
    assert np.array_equal(mirrored[:, ::-1], mask)
    assert 0 < mask.sum() < mask.size


def test_links_smooth_and_respect_edges() -> None:
    lab = np.zeros((12, 12, 3))
    lab[:, 6:] = 80
    unary = np.full((12, 12), -1.0)
    unary[:, 6:] = 1.0
    unary[3, 3], unary[8, 9] = 1.5, -1.5  # two outliers
    mask = minimum_cut(unary, contrast_links(lab))
    expected = np.zeros((12, 12), dtype=bool)
    expected[:, 6:] = True
    assert np.array_equal(mask, expected)
    assert not np.array_equal(minimum_cut(unary, contrast_links(lab, 0.0)), expected)


def test_constant_image_has_finite_links() -> None:
    for weight, (_, _, factor) in zip(contrast_links(np.full((5, 6, 3), 7.0)), DIRECTIONS, strict=True):
        assert np.allclose(weight, 2.0 * factor)
