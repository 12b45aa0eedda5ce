# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What annotated slices say."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.inferers.propagation.evidence.annotations import (
    SliceAnnotation,
    exemplars_of,
    forbidden_pixels,
    impose,
    labelled_slices,
    labels_of,
)


def annotation(*values: int) -> SliceAnnotation:
    return SliceAnnotation.from_label_map(np.array([values]))


@pytest.mark.parametrize(
    ("values", "complete", "expected"),
    [
        ((1, 0, 2, 255), "own", [False, True, True, False]),  # the label occurs: it is complete
        ((0, 0, 2, 255), "own", [False, False, True, False]),  # it doesn't: only others' pixels are denied
        ((0, 0, 2, 255), "all", [True, True, True, False]),
        ((0, 0, 0, 255), "own", [True, True, True, False]),  # annotated without any label
    ],
)
def test_pixels_that_are_denied_to_label_1(values: tuple[int, ...], complete: str, expected: list[bool]) -> None:
    denied = forbidden_pixels(1, annotation(*values), complete)
    assert denied is not None
    assert denied[0].tolist() == expected
    assert forbidden_pixels(1, None, complete) is None


def test_annotations_go_into_the_labels() -> None:
    labels = np.array([[[1, 1, 3, 1]], [[1, 1, 1, 1]]])
    impose(labels, {0: annotation(0, 1, 2, 255)}, "own", (1, 2, 3))
    assert labels.tolist() == [[[0, 1, 2, 1]], [[1, 1, 1, 1]]]


def test_labels_and_their_slices() -> None:
    annotations = {4: annotation(5, 0), 2: annotation(1, 5)}
    assert labels_of(annotations.values()) == (1, 5)
    assert [exemplar.index for exemplar in exemplars_of(5, annotations)] == [2, 4]
    volume = np.zeros((2, 3, 4))
    volume[:, :, 1], volume[0, 0, 3], volume[0, 0, 0] = 255, 7, 255
    assert labelled_slices(volume, 2) == [3]
