# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Percentile bootstrap intervals over cases, and paired differences of two methods on the same cases.

Cases are drawn with replacement, each with all its classes (the organs of one volume are not independent), and every
pooled figure is computed anew from the drawn counts (Efron 1979). All replicates are one matrix product: a
(replicates, cases) matrix of how often each case was drawn. With one case the interval has no width: it says nothing
about other cases.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from .segmentation import CaseArrays, CaseRow, figures

__all__ = ["Interval", "draw_counts", "paired_differences", "percentile_interval", "require_same_cases", "summarise"]

_LEVEL = 95.0


class Interval(TypedDict):
    """A figure and its 95 % interval, fractions."""

    value: float
    ci95: list[float]


def summarise(rows: Iterable[CaseRow], *, num_resamples: int = 2000, seed: int = 0) -> dict[str, Interval]:
    """Give every figure of ``rows`` with its interval.

    Args:
        rows: one or more per case and class.
        num_resamples: bootstrap replicates.
        seed: the same seed and rows give the same intervals.
    """
    cases = CaseArrays.from_rows(rows)
    replicates = figures(cases, draw_counts(len(cases.case_ids), num_resamples, seed))
    return {name: percentile_interval(float(value[0]), replicates[name]) for name, value in figures(cases).items()}


def paired_differences(
    rows: Iterable[CaseRow], other_rows: Iterable[CaseRow], *, num_resamples: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """Give every figure of ``rows`` minus that of ``other_rows``, with its interval (the same draws for both).

    Raises:
        ValueError: when the two were not measured on the same cases and classes.
    """
    cases, others = CaseArrays.from_rows(rows), CaseArrays.from_rows(other_rows)
    require_same_cases(cases, others)
    weights = draw_counts(len(cases.case_ids), num_resamples, seed)
    mine, theirs = figures(cases), figures(others)
    mine_drawn, theirs_drawn = figures(cases, weights), figures(others, weights)
    return {
        name: percentile_interval(float(mine[name][0] - theirs[name][0]), mine_drawn[name] - theirs_drawn[name])
        for name in mine
    }


def draw_counts(num_cases: int, num_resamples: int, seed: int) -> NDArray[np.float64]:
    """Draw cases with replacement: (num_resamples, num_cases), how often each comes in a replicate."""
    if num_resamples < 1:
        raise ValueError(f"num_resamples must be at least 1, got {num_resamples}")
    generator = np.random.default_rng(seed)
    return generator.multinomial(num_cases, np.full(num_cases, 1 / num_cases), size=num_resamples).astype(float)


def percentile_interval(value: float, replicates: NDArray[np.float64]) -> Interval:
    """Put the percentile interval of its replicates (R,) around a value; replicates may be NaN."""
    margin = (100 - _LEVEL) / 2
    held = replicates[~np.isnan(replicates)]  # a rare class may be missing from a draw
    low, high = np.percentile(held, [margin, 100 - margin]) if held.size else (value, value)
    return {"value": value, "ci95": [float(low), float(high)]}


def require_same_cases(cases: CaseArrays, others: CaseArrays) -> None:
    """Refuse, by a ValueError that names them, cases and classes that only one of the two has."""

    def pairs(arrays: CaseArrays) -> set[tuple[str, str]]:
        return {
            (arrays.class_names[column], arrays.case_ids[row])
            for row, column in zip(*arrays.present.nonzero(), strict=True)
        }

    difference = sorted(pairs(cases) ^ pairs(others))
    if difference:
        shown = ", ".join(f"{name} in case {case}" for name, case in difference[:5])
        raise ValueError(f"a paired comparison needs the same cases and classes; only in one of the two: {shown}")
