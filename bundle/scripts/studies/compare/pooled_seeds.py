# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Intervals over cases of results that pool several seeds of the episodes.

The same case under another seed is no new case: cases are drawn with all their seeds together, as
:mod:`scripts.metrics.bootstrap` draws them with all their classes. Figures themselves count every seed of a case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...metrics.bootstrap import Interval, draw_counts, percentile_interval, require_same_cases
from ...metrics.segmentation import CaseArrays, CaseRow, figures

__all__ = ["paired_difference", "summarise_seeds"]

_NUM_RESAMPLES, _SEED = 2000, 0  # as bootstrap has them


def summarise_seeds(rows: Mapping[int, Sequence[CaseRow]], metric: str) -> Interval:
    """Give a figure of ``rows`` with its interval.

    Args:
        rows: seed -> one row or more per case and class.
        metric: such as ``class_miou``, see :func:`scripts.metrics.segmentation.figures`.
    """
    cases, weights = _arrange(rows)
    return percentile_interval(float(figures(cases)[metric][0]), figures(cases, weights)[metric])


def paired_difference(
    rows: Mapping[int, Sequence[CaseRow]], other_rows: Mapping[int, Sequence[CaseRow]], metric: str
) -> Interval:
    """Give a figure of ``rows`` minus that of ``other_rows``, with its interval (the same draws for both).

    Raises:
        ValueError: when the two were not measured on the same cases, classes and seeds.
    """
    (cases, weights), (others, _) = _arrange(rows), _arrange(other_rows)
    require_same_cases(cases, others)
    value = float(figures(cases)[metric][0] - figures(others)[metric][0])
    return percentile_interval(value, figures(cases, weights)[metric] - figures(others, weights)[metric])


def _arrange(rows: Mapping[int, Sequence[CaseRow]]) -> tuple[CaseArrays, NDArray[np.float64]]:
    """Arrays with a line per case and seed, and (R, lines) how often each is drawn: a case with all its lines."""
    case_of = {}
    lines = []
    for seed, own in rows.items():
        for row in own:
            line = replace(row, case_id=f"{row.case_id} (seed {seed})")
            case_of[line.case_id] = row.case_id
            lines.append(line)
    arrays = CaseArrays.from_rows(lines)
    drawn_as = [case_of[case_id] for case_id in arrays.case_ids]
    place = {case_id: number for number, case_id in enumerate(dict.fromkeys(drawn_as))}
    weights = draw_counts(len(place), _NUM_RESAMPLES, _SEED)
    return arrays, weights[:, np.array([place[case_id] for case_id in drawn_as])]
