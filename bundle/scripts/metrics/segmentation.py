# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Overlap of a predicted and a true mask, counted per case and class, and the figures made from the counts.

The protocol of few-shot segmentation: the foreground IoU of a class is pooled over the whole set (sum of
intersections over sum of unions) and averaged over classes (class mIoU); FB-IoU pools foreground and background of
all classes and averages the two. Every item keeps its own class: relabelling a batch with its first item's class, as
a released evaluation does (golden/ifa, defect D1), turns class mIoU into FB-IoU.

A case is one image, or one volume: counts of its slices or chunks are pooled before its Dice is taken.
Empty masks: where neither prediction nor truth has a foreground pixel, Dice and IoU are 1 (nothing was asked, nothing
was claimed); where only one of them is empty, they are 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..labels import IGNORED

__all__ = [
    "IGNORE_VALUE",
    "CaseArrays",
    "CaseRow",
    "CaseTable",
    "OverlapCounts",
    "count_overlap",
    "dice_score",
    "figures",
    "iou_score",
]

IGNORE_VALUE = IGNORED


class OverlapCounts(NamedTuple):
    """Pixels of two masks. Background follows: its intersection is pixels - union, its union pixels - intersection."""

    intersection: int
    union: int
    pixels: int  # all that were counted, i.e. not ignored

    def plus(self, other: OverlapCounts) -> OverlapCounts:
        """Return the counts of both together (pooled)."""
        return OverlapCounts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def count_overlap(pred: Tensor | NDArray[Any], label: Tensor | NDArray[Any], *, foreground: int = 1) -> OverlapCounts:
    """Count where prediction and truth are foreground.

    Args:
        pred: boolean, any shape; True = foreground.
        label: same shape, integer or float values; ``foreground`` is foreground, 255 is not counted, anything else is
            background.
        foreground: the label's value for foreground.

    Raises:
        ValueError: when the shapes differ.
    """
    if tuple(pred.shape) != tuple(label.shape):
        raise ValueError(f"prediction {tuple(pred.shape)} and label {tuple(label.shape)} must have the same shape")
    counted = label != IGNORE_VALUE
    truth = label == foreground
    claimed = (pred != 0) & counted
    return OverlapCounts(int((claimed & truth).sum()), int((claimed | truth).sum()), int(counted.sum()))


def dice_score(intersection: float | NDArray[np.float64], union: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Dice = 2 I / (I + U), elementwise; 1 where both masks are empty (U = 0)."""
    return _ratio(2 * np.asarray(intersection, float), np.asarray(intersection, float) + np.asarray(union, float))


def iou_score(intersection: float | NDArray[np.float64], union: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU = I / U, elementwise; 1 where both masks are empty (U = 0)."""
    return _ratio(np.asarray(intersection, float), np.asarray(union, float))


@dataclass
class CaseRow:
    """The counts of one class in one case: a line of ``cases.csv``."""

    class_name: str
    case_id: str
    counts: OverlapCounts
    support_ids: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def dice(self) -> float:
        """Dice of the case (pooled over its slices)."""
        return float(dice_score(self.counts.intersection, self.counts.union))

    @property
    def iou(self) -> float:
        """IoU of the case (pooled over its slices)."""
        return float(iou_score(self.counts.intersection, self.counts.union))


class CaseTable:
    """Rows per (class, case), to which counts are added in any order."""

    def __init__(self, rows: Iterable[CaseRow] = ()) -> None:
        self._rows: dict[tuple[str, str], CaseRow] = {}
        for row in rows:
            self.add(row)

    def add(self, row: CaseRow) -> None:
        """Add a row; counts and seconds of a case and class that are there already are pooled, supports joined."""
        key = (row.class_name, row.case_id)
        known = self._rows.get(key)
        if known is not None:
            supports = tuple(dict.fromkeys(known.support_ids + row.support_ids))
            row = CaseRow(*key, known.counts.plus(row.counts), supports, known.seconds + row.seconds)
        self._rows[key] = row

    @property
    def rows(self) -> list[CaseRow]:
        """All rows, by class and case (numbers in their own order: case 2 before case 10)."""
        return [self._rows[key] for key in sorted(self._rows, key=lambda key: (key[0], _natural(key[1])))]

    def __len__(self) -> int:
        return len(self._rows)


@dataclass
class CaseArrays:
    """The rows as arrays (cases, classes), the form in which figures and their bootstrap replicates are computed."""

    class_names: list[str]
    case_ids: list[str]
    intersection: NDArray[np.float64]
    union: NDArray[np.float64]
    pixels: NDArray[np.float64]
    present: NDArray[np.float64]  # 1 where the case has a row for the class

    @classmethod
    def from_rows(cls, rows: Iterable[CaseRow]) -> CaseArrays:
        """Arrange the rows; several rows of one (class, case) are pooled."""
        table = CaseTable(rows).rows
        if not table:
            raise ValueError("no case was evaluated, so there is no figure to give")
        class_names = sorted({row.class_name for row in table})
        case_ids = sorted({row.case_id for row in table}, key=_natural)
        case_index = {case_id: index for index, case_id in enumerate(case_ids)}
        class_index = {name: index for index, name in enumerate(class_names)}
        counts = np.zeros((3, len(case_ids), len(class_names)))
        present = np.zeros(counts.shape[1:])
        for row in table:
            place = (case_index[row.case_id], class_index[row.class_name])
            counts[(slice(None), *place)] = row.counts
            present[place] = 1
        intersection, union, pixels = counts
        return cls(class_names, case_ids, intersection, union, pixels, present)


def figures(cases: CaseArrays, weights: NDArray[np.float64] | None = None) -> dict[str, NDArray[np.float64]]:
    """Compute every figure from the counts.

    Args:
        cases: N cases, C classes.
        weights: (R, N), how often each case counts in each of R replicates; None = each once (R = 1).

    Returns:
        name -> (R,): ``mean_dice`` (mean over classes of the mean over cases), ``class_miou``, ``fb_iou``, and per
        class ``dice/<class>`` (mean over cases) and ``iou/<class>`` (pooled over cases). A class that a replicate
        does not hold is NaN there and left out of its means.
    """
    if weights is None:
        weights = np.ones((1, len(cases.case_ids)))
    intersection, union, pixels = weights @ cases.intersection, weights @ cases.union, weights @ cases.pixels
    number = weights @ cases.present
    held = number > 0
    case_dice = dice_score(cases.intersection, cases.union) * cases.present
    dice = np.where(held, (weights @ case_dice) / np.where(held, number, 1), np.nan)
    iou = np.where(held, iou_score(intersection, union), np.nan)
    total_intersection, total_union, total = (counts.sum(axis=1) for counts in (intersection, union, pixels))
    foreground = iou_score(total_intersection, total_union)
    background = iou_score(total - total_union, total - total_intersection)
    result = {
        "mean_dice": np.nanmean(dice, axis=1),
        "class_miou": np.nanmean(iou, axis=1),
        "fb_iou": (foreground + background) / 2,
    }
    result.update({f"dice/{name}": dice[:, index] for index, name in enumerate(cases.class_names)})
    result.update({f"iou/{name}": iou[:, index] for index, name in enumerate(cases.class_names)})
    return result


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    empty = denominator == 0
    return np.where(empty, 1.0, numerator / np.where(empty, 1, denominator))


def _natural(case_id: str) -> tuple[int, int, str]:
    # plain numbers first, by value; then everything else by name
    return (0, int(case_id), "") if case_id.isdecimal() else (1, 0, case_id)
