# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Exact minimum cut of a binary image labelling with eight neighbours.

Minimises  E(x) = - sum_i u_i x_i + sum_{ij} w_ij |x_i - x_j|  over x in {0, 1}, and returns the smallest foreground
among the minimisers. Most pixels are decided before any flow is computed: where a unary term outweighs all of a
pixel's links the label is certain (it is the same in the smallest minimiser), its links become unary terms of its
neighbours, and the test is repeated. SciPy's maximum flow solves what remains. Both steps work on integers, so the
result is exact for capacities rounded to ``1 / RESOLUTION``.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

__all__ = ["DIRECTIONS", "Links", "contrast_links", "cut_energy", "minimum_cut"]

RESOLUTION = 1000
_LARGEST_UNARY = 1e4
DIRECTIONS = ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 0.7071), (1, -1, 0.7071))
"""(row step, column step, weight): half of the eight neighbours, the other half is implied."""


Links = tuple[np.ndarray, ...]
"""Links of an image grid: entry d holds, for ``DIRECTIONS[d]``, one weight per pair of neighbours."""


def contrast_links(lab: np.ndarray, weight: float = 2.0) -> Links:
    """Links that are weak across edges: ``weight * exp(-|difference|^2 / (2 * mean))``, diagonals times 0.71.

    Args:
        lab: (h, w, 3) colours.
        weight: link of two equal neighbours.
    """
    differences = []
    for row, column, _ in DIRECTIONS:
        start, end = _neighbours(lab.shape[:2], row, column)
        differences.append(np.square(lab[start] - lab[end]).sum(axis=2))
    means = [d.mean() for d in differences if d.size]
    mean = (float(np.mean(means)) if means else 0.0) + 1e-6
    return tuple(weight * w * np.exp(-d / (2 * mean)) for d, (_, _, w) in zip(differences, DIRECTIONS, strict=True))


def minimum_cut(unary: np.ndarray, links: Links) -> np.ndarray:
    """Best labelling.

    Args:
        unary: (h, w), positive prefers foreground.
        links: of the same grid.

    Returns:
        (h, w) bool, foreground.
    """
    scaled = np.rint(np.clip(unary, -_LARGEST_UNARY, _LARGEST_UNARY) * RESOLUTION).astype(np.int64)
    weights = [np.rint(w * RESOLUTION).astype(np.int64) for w in links]
    foreground, undecided, scaled, weights = _decide(scaled, weights)
    if undecided.any():
        foreground[undecided] = _solve(scaled, weights, undecided)
    return foreground


def cut_energy(labels: np.ndarray, unary: np.ndarray, links: Links) -> float:
    """The energy that :func:`minimum_cut` minimises."""
    energy = -float(unary[labels].sum())
    for weight, (row, column, _) in zip(links, DIRECTIONS, strict=True):
        start, end = _neighbours(labels.shape, row, column)
        energy += float(weight[labels[start] != labels[end]].sum())
    return energy


def _neighbours(shape: tuple[int, ...], row: int, column: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of all first and all second pixels of one direction's links."""
    height, width = shape[0], shape[1]
    left, right = max(0, -column), max(0, column)
    first = (slice(0, max(0, height - row)), slice(left, max(left, width - right)))
    second = (slice(row, height), slice(right, max(right, width - left)))
    return first, second


def _decide(
    unary: np.ndarray, weights: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """Label the pixels whose unary term outweighs their links, fold their links in, repeat until none is left."""
    shape = unary.shape
    slices = [_neighbours(shape, row, column) for row, column, _ in DIRECTIONS]
    foreground = np.zeros(shape, dtype=bool)
    undecided = np.ones(shape, dtype=bool)
    weights = [w.copy() for w in weights]
    unary = unary.copy()
    while True:
        total = np.zeros_like(unary)
        for weight, (first, second) in zip(weights, slices, strict=True):
            total[first] += weight
            total[second] += weight
        certain_foreground = undecided & (unary > total)
        certain_background = undecided & (unary <= -total)
        if not certain_foreground.any() and not certain_background.any():
            return foreground, undecided, unary, weights
        foreground |= certain_foreground
        undecided &= ~(certain_foreground | certain_background)
        sign = certain_foreground.astype(np.int64) - certain_background.astype(np.int64)
        for weight, (first, second) in zip(weights, slices, strict=True):
            unary[second] += weight * sign[first]
            unary[first] += weight * sign[second]
            weight[(sign[first] != 0) | (sign[second] != 0)] = 0


def _solve(unary: np.ndarray, weights: list[np.ndarray], undecided: np.ndarray) -> np.ndarray:
    """Maximum flow among the undecided pixels; a source arc per positive, a sink arc per negative unary term."""
    count = int(undecided.sum())
    index = np.full(undecided.shape, -1, dtype=np.int32)
    index[undecided] = np.arange(count)
    value = unary[undecided]
    tails: list[np.ndarray] = []
    heads: list[np.ndarray] = []
    capacities: list[np.ndarray] = []
    for weight, (row, column, _) in zip(weights, DIRECTIONS, strict=True):
        first, second = _neighbours(undecided.shape, row, column)
        linked = weight > 0
        a, b, w = index[first][linked], index[second][linked], weight[linked]
        tails += [a, b]
        heads += [b, a]
        capacities += [w, w]
    positive, negative = np.flatnonzero(value > 0), np.flatnonzero(value < 0)
    if not len(positive):
        return np.zeros(count, dtype=bool)
    source, sink = count, count + 1
    tails += [np.full(len(positive), source), negative]
    heads += [positive, np.full(len(negative), sink)]
    capacities += [value[positive], -value[negative]]
    graph = csr_array(
        (
            np.concatenate(capacities).astype(np.int32),
            (np.concatenate(tails).astype(np.int32), np.concatenate(heads).astype(np.int32)),
        ),
        shape=(count + 2, count + 2),
    )
    residual = graph - maximum_flow(graph, source, sink, method="dinic").flow
    residual.data[residual.data < 0] = 0
    residual.eliminate_zeros()
    reached = np.zeros(count + 2, dtype=bool)
    reached[breadth_first_order(residual, source, return_predecessors=False)] = True
    return reached[:count]
