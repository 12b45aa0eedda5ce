# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The annotations of a session: their history, and one label map per slice that they join to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..propagation.evidence.annotations import ANNOTATION_COMPLETE, NOT_ANNOTATED, SliceAnnotation

__all__ = ["Annotations", "Entry", "check_label"]


class Entry(NamedTuple):
    """One act of annotating.

    Attributes:
        slice_index: of the slice.
        label: (H, W) uint16, 255 = not annotated.
        replace: whether earlier annotations of the slice are forgotten.
    """

    slice_index: int
    label: NDArray[np.uint16]
    replace: bool


class Annotations:
    """Annotations in the order in which they were made; a slice is joined anew only when it is annotated.

    Args:
        annotation_complete: what an unlabelled pixel of an annotated slice means, "own" or "all".

    Raises:
        ValueError: for another ``annotation_complete``.
    """

    def __init__(self, annotation_complete: str = "own") -> None:
        if annotation_complete not in ANNOTATION_COMPLETE:
            raise ValueError(f"annotation_complete must be one of {ANNOTATION_COMPLETE}, got {annotation_complete!r}")
        self.annotation_complete = annotation_complete
        self.history: list[Entry] = []
        self._joined: dict[int, NDArray[np.uint16]] = {}
        self._split: dict[int, SliceAnnotation] = {}

    @property
    def slices(self) -> tuple[int, ...]:
        """Indices of the slices that carry an annotation, in rising order."""
        return tuple(sorted(self._joined))

    @property
    def values(self) -> tuple[int, ...]:
        """All labels that occur, in rising order."""
        return tuple(sorted({value for annotation in self.by_slice().values() for value in annotation.values}))

    def add(self, entry: Entry) -> None:
        """Add an annotation.

        Raises:
            ValueError: when it contradicts an earlier one of its slice that it doesn't replace; nothing is added then.
        """
        earlier = None if entry.replace else self._joined.get(entry.slice_index)
        self._set(entry.slice_index, entry.label if earlier is None else self._join(earlier, entry))
        self.history.append(entry)

    def undo(self) -> int:
        """Take back the last annotation; returns the index of its slice.

        Raises:
            ValueError: when there is none.
        """
        if not self.history:
            raise ValueError("nothing to undo: the session has no annotation")
        index = self.history.pop().slice_index
        joined: NDArray[np.uint16] | None = None
        for entry in self.history:
            if entry.slice_index == index:
                joined = entry.label if joined is None or entry.replace else self._join(joined, entry)
        self._joined.pop(index)
        self._split.pop(index, None)
        if joined is not None:
            self._set(index, joined)
        return index

    def by_slice(self) -> dict[int, SliceAnnotation]:
        """Annotation per slice, in rising order; the order of entries matters only where one replaces others."""
        for index, label in self._joined.items():
            if index not in self._split:
                self._split[index] = SliceAnnotation.from_label_map(label)
        return {index: self._split[index] for index in self.slices}

    def _set(self, index: int, label: NDArray[np.uint16]) -> None:
        self._joined[index] = label
        self._split.pop(index, None)

    def _join(self, earlier: NDArray[np.uint16], entry: Entry) -> NDArray[np.uint16]:
        """One label map of two, whatever their order."""
        label = entry.label
        both = (earlier != NOT_ANNOTATED) & (label != NOT_ANNOTATED) & (earlier != label)
        own, new = _values(earlier), _values(label)
        if self.annotation_complete == "own" and len(own) and len(new):
            # 0 = not the labels of that map, so only labels can contradict each other
            shared = np.intersect1d(own, new)
            both &= ((earlier > 0) & (label > 0)) | np.isin(earlier, shared) | np.isin(label, shared)
        if both.any():
            row, column = (int(axis[0]) for axis in np.nonzero(both))
            where = f"row {row}, column {column}: {int(earlier[row, column])} and {int(label[row, column])}"
            raise ValueError(
                f"two annotations of slice {entry.slice_index} contradict each other at {int(both.sum())} pixels "
                f"(first at {where}); undo one, or annotate with replace=True"
            )
        is_unset = (earlier == NOT_ANNOTATED) | ((earlier == 0) & (label > 0) & (label != NOT_ANNOTATED))
        return np.where(is_unset, label, earlier)


def check_label(label: ArrayLike, slice_index: int, shape: Sequence[int]) -> NDArray[np.uint16]:
    """Take a user's label map of one slice.

    Args:
        label: label values, whole numbers from 0 to 65535; 255 = not annotated.
        slice_index: for messages.
        shape: expected rows and columns.

    Returns:
        The map as uint16.

    Raises:
        ValueError: for another shape, values that aren't labels, or a map that says nothing.
    """
    array: NDArray[Any] = np.asarray(label)
    if array.shape != tuple(shape):
        raise ValueError(f"annotation of slice {slice_index} has shape {array.shape}, expected {tuple(shape)}")
    if array.dtype.kind not in "iufb":
        raise ValueError(f"annotation of slice {slice_index} must hold whole numbers, got data type {array.dtype}")
    values = np.unique(array)
    wrong = values[~((values >= 0) & (values <= 65535) & (values == np.round(values)))]
    if len(wrong):
        raise ValueError(
            f"annotation of slice {slice_index} has the value {wrong[0]}; expected whole numbers 0 to 65535"
        )
    if (values == NOT_ANNOTATED).all():
        raise ValueError(f"annotation of slice {slice_index} says nothing: all its pixels are 255 (not annotated)")
    return array.astype(np.uint16)


def _values(label: NDArray[np.uint16]) -> NDArray[np.uint16]:
    values = np.unique(label)
    labels: NDArray[np.uint16] = values[(values > 0) & (values != NOT_ANNOTATED)]
    return labels
