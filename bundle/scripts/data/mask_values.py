# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the values of a mask mean: one rule for every mask that enters, by a reader, as a support or as an annotation.

A mask of one class is 0 and 1 from one tool, 0 and 255 from another, and any grey along its edges once it was a JPEG or
was resampled. Such a mask is cut in the middle, file by file. A map of several labels is taken as it is. What is
neither is refused with the file's name and its number of values; no grey value ever becomes a label of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from ..labels import IGNORED

__all__ = [
    "MIDDLE",
    "NUM_VALUES",
    "UnknownLabelError",
    "check_annotation",
    "foreground_values",
    "is_one_class",
    "label_tables",
    "shade_values",
]

NUM_VALUES = 256
_UNSET = IGNORED  # ignored in a label map, not annotated in an annotation, foreground in a mask of 0 and 255
MIDDLE = 128
_LOSSY = (".jpg", ".jpeg")
_NOISE = 0.1  # of the foreground: a mask of 0, 1 and 255 with more ones than that is a label map with ignored pixels
_EDGE = 3  # pixels that the shades along an edge reach to either side
_FEWEST_SHADES = 3
_MOST_LABELS = 64  # of a picture


class UnknownLabelError(ValueError):
    """A mask holds values that its data set doesn't define, or that can't be labels."""


def foreground_values(counts: NDArray[np.integer], source: str | Path) -> list[int]:
    """The values of one file that are foreground, where the class is known to be one.

    Args:
        counts: (256,) pixels of each value.
        source: the file, for messages.

    Returns:
        [1] for a mask of 0 and 1 (or 0 alone), 128 to 255 for one that reaches into the upper half.

    Raises:
        UnknownLabelError: for a file that is neither, or both (0, 1 and 255).
    """
    found = [int(value) for value in np.flatnonzero(counts) if value]
    if set(found) <= {1}:
        return [1]
    is_both = found == [1, _UNSET] and counts[1] > _NOISE * counts[_UNSET]
    if found[-1] < MIDDLE or is_both:
        shown = f"{found}" if len(found) <= 5 else f"{found[:4]} ... {found[-1]}"
        raise UnknownLabelError(
            f"{source} has label values up to {found[-1]}, expected 0 and 255, or 0 and 1, as the mask of one class "
            f"has; it has {len(found)} values above 0: {shown}"
        )
    return list(range(MIDDLE, NUM_VALUES))


def is_one_class(class_values: Mapping[str, Sequence[int]]) -> bool:
    """Whether a table of classes names one, with the value 1: then a mask may also be one of 0 and 255."""
    return [list(own) for own in class_values.values()] == [[1]]


def shade_values(mask: NDArray[np.uint8], source: str | Path) -> list[int] | None:
    """The foreground's values of a mask in shades; None for a map of labels.

    A mask has shades when it is a JPEG, or when three or more grey values lie only along the edges between 0 and its
    highest value.

    Args:
        mask: any shape.
        source: the file; its suffix tells a JPEG.

    Raises:
        UnknownLabelError: as `foreground_values`.
    """
    counts = np.bincount(mask.reshape(-1), minlength=NUM_VALUES)
    found = np.flatnonzero(counts)
    highest = int(found[-1]) if len(found) else 0
    if str(source).lower().endswith(_LOSSY):
        return foreground_values(counts, source)
    if highest < MIDDLE or len(found) - 2 < _FEWEST_SHADES or not counts[0]:
        return None
    shades = (mask > 0) & (mask < highest)
    whole = np.ones((3,) * mask.ndim, bool)
    edge = binary_dilation(mask == 0, whole, _EDGE) & binary_dilation(mask == highest, whole, _EDGE)
    return foreground_values(counts, source) if not (shades & ~edge).any() else None


def label_tables(
    masks: Mapping[str, NDArray[np.uint8]], *, num_classes: int | None = None, are_pictures: bool = False
) -> dict[str, NDArray[np.uint8]]:
    """Bring the masks of one set of supports to the same labels, file by file.

    Args:
        masks: file -> values, any shape.
        num_classes: number of classes where the user named them.
        are_pictures: pictures can be photos, which are refused by their number of values.

    Returns:
        File -> (256,) table from its values to labels; 255 stays 255 (ignored) in a map of labels.

    Raises:
        UnknownLabelError: for a file whose values can't be labels, and for one of 0 and 255 beside others with several
            labels or ignored pixels, where 255 could mean either.
    """
    found = {file: {int(value) for value in np.unique(mask)} - {0} for file, mask in masks.items()}
    tables: dict[str, NDArray[np.uint8]] = {}
    for file, mask in masks.items():
        counts = np.bincount(mask.reshape(-1), minlength=NUM_VALUES)
        is_named_one = num_classes == 1 and not _is_one_label(found[file])
        foreground = foreground_values(counts, file) if is_named_one else shade_values(mask, file)
        if foreground is None and found[file] == {_UNSET}:
            foreground = [_UNSET]
        if foreground is None:
            if are_pictures and len(found[file]) > _MOST_LABELS:
                raise UnknownLabelError(
                    f"{file} has {len(found[file])} label values above 0, as a photo has; expected a mask, 0 and 255 "
                    "or a few labels"
                )
            tables[file] = np.arange(NUM_VALUES, dtype=np.uint8)
        else:
            tables[file] = np.zeros(NUM_VALUES, np.uint8)
            tables[file][foreground] = 1
    binary = [file for file, table in tables.items() if found[file] and table[_UNSET] == 1]
    others = [file for file, table in tables.items() if table[_UNSET] == _UNSET and not found[file] <= {1}]
    if binary and others:
        raise UnknownLabelError(
            f"{binary[0]} is a mask of 0 and 255, {others[0]} has the label values {sorted(found[others[0]])}: 255 "
            "would be a label in one and ignored in the other; save both with the same labels"
        )
    return tables


def check_annotation(annotation: NDArray[np.uint8], source: str | Path) -> None:
    """Refuse an annotation without a label, or in shades of grey, each of which would become a label.

    Raises:
        UnknownLabelError: naming the file.
    """
    values = [int(value) for value in np.unique(annotation)]
    if not set(values) - {0, _UNSET}:
        raise UnknownLabelError(
            f"annotation {source} has no label on any slice (its values are only {' and '.join(map(str, values))}; "
            "255 means not annotated): save its labels as 1, 2, ..."
        )
    if shade_values(annotation, source) is not None:
        raise UnknownLabelError(
            f"annotation {source} has {len(values)} values, shades of grey along its edges; expected label values, as "
            "1, 2, ..., and 0 for none (it was resampled? take the nearest value instead)"
        )


def _is_one_label(found: set[int]) -> bool:
    """Whether, beside ignored pixels, there is one label value of a label map."""
    labels = found - {_UNSET}
    return len(labels) == 1 and max(labels) < MIDDLE
