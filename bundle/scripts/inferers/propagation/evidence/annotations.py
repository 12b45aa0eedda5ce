# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Annotated slices, and what their unlabelled pixels mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....labels import NOT_ANNOTATED
from ..geometry.working_grid import labels_to_working, resize
from .unary import Exemplar

__all__ = [
    "ANNOTATION_COMPLETE",
    "NOT_ANNOTATED",
    "SliceAnnotation",
    "exemplars_of",
    "forbidden_pixels",
    "impose",
    "labelled_slices",
    "labels_of",
]

ANNOTATION_COMPLETE = ("own", "all")


@dataclass(frozen=True)
class SliceAnnotation:
    """Annotation of one slice.

    Attributes:
        label: (h, w), label values, 0 = none of them.
        known: (h, w), False where the pixel was not annotated.
    """

    label: NDArray[np.int32]
    known: NDArray[np.bool_]

    @classmethod
    def from_label_map(cls, label: NDArray[Any]) -> SliceAnnotation:
        """Split a label map (H, W) with 255 = not annotated."""
        known = label != NOT_ANNOTATED
        return cls(np.where(known, label, 0).astype(np.int32), known)

    @property
    def values(self) -> tuple[int, ...]:
        """The labels that occur."""
        return tuple(int(value) for value in np.unique(self.label[self.label > 0]))

    def inside(self, box: tuple[slice, slice]) -> SliceAnnotation:
        """The same within some rows and columns."""
        return SliceAnnotation(self.label[box], self.known[box])

    def to_working(self, shape: tuple[int, int]) -> SliceAnnotation:
        """The same on the working grid."""
        label = labels_to_working(self.label, shape, self.values)
        known = self.known if self.known.all() or self.known.shape == shape else resize(self.known, shape) > 0.5
        if known.shape != shape:
            known = np.ones(shape, bool)
        return SliceAnnotation(label, known | (label > 0))


def labels_of(annotations: Iterable[SliceAnnotation]) -> tuple[int, ...]:
    """All labels that occur, in rising order."""
    return tuple(sorted({value for annotation in annotations for value in annotation.values}))


def labelled_slices(label: NDArray[Any], slice_axis: int) -> list[int]:
    """Indices along an axis of the slices of a label map (3D) that carry a label."""
    is_label = (label > 0) & (label != NOT_ANNOTATED)
    others = tuple(axis for axis in range(3) if axis != slice_axis)
    return [int(index) for index in np.flatnonzero(is_label.any(axis=others))]


def exemplars_of(label: int, annotations: Mapping[int, SliceAnnotation]) -> list[Exemplar]:
    """The annotated slices on which a label occurs, in rising order of slices."""
    return [
        Exemplar(index, annotation.label == label, None if annotation.known.all() else annotation.known)
        for index, annotation in sorted(annotations.items())
        if (annotation.label == label).any()
    ]


def forbidden_pixels(
    label: int, annotation: SliceAnnotation | None, annotation_complete: str
) -> NDArray[np.bool_] | None:
    """Pixels (h, w) that an annotated slice denies to a label; None on a slice that is not annotated.

    With ``annotation_complete="own"`` a label that occurs on the slice is complete there, and a label that doesn't
    occur may be anywhere but on other labels' pixels. With "all" everything visible was marked. A slice that was
    annotated without any label has none of them.
    """
    if annotation is None:
        return None
    if annotation_complete == "all" or (annotation.label == label).any() or not annotation.label.any():
        denied: NDArray[np.bool_] = annotation.known & (annotation.label != label)
    else:
        denied = annotation.known & (annotation.label != label) & (annotation.label > 0)
    return denied


def impose(
    labels: NDArray[Any], annotations: Mapping[int, SliceAnnotation], annotation_complete: str, values: Sequence[int]
) -> None:
    """Put the annotations into a label volume (Z, h, w), in place."""
    for index, annotation in annotations.items():
        for value in values:
            denied = forbidden_pixels(value, annotation, annotation_complete)
            labels[index][(labels[index] == value) & denied] = 0
        labelled = annotation.label > 0
        labels[index][labelled] = annotation.label[labelled]
