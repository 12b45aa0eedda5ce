# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Results back on the image's grid."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.inferers.propagation.evidence.annotations import SliceAnnotation
from scripts.inferers.volume.image_grid import labels_on_image, probability_on_image

SHAPE = (2, 8, 10)
BOX = (slice(1, 7), slice(2, 8))  # 6 x 6


def annotation(**pixels: int) -> dict[int, SliceAnnotation]:
    """Slice 1, pixels by ``r<row>c<column>``; 255 = not annotated."""
    label = np.zeros(SHAPE[1:], np.uint16)
    for place, value in pixels.items():
        row, column = place[1:].split("c")
        label[int(row), int(column)] = value
    return {1: SliceAnnotation.from_label_map(label)}


def test_labels_lie_in_the_box_and_annotations_anywhere() -> None:
    labels = np.zeros((2, 6, 6), np.int32)
    labels[0, 0, 0] = labels[1, 5, 5] = 3
    labels[1, 0, 0] = 4
    told: list[tuple[int, int]] = []
    found = labels_on_image(
        labels, SHAPE, BOX, annotation(r0c9=3), "own", values=(3, 4), progress=lambda *call: told.append(call)
    )
    assert found.dtype == np.uint8
    assert [tuple(map(int, place)) for place in np.argwhere(found == 3)] == [(0, 1, 2), (1, 0, 9)]
    assert found[1, 1, 2] == 4  # another label than the one that is complete on that slice
    assert told == [(1, 2), (2, 2)]
    everything = labels_on_image(labels, SHAPE, BOX, annotation(r0c9=3), "all", values=(3, 4))
    assert not (everything == 4).any()


def test_a_coarse_label_gets_a_straight_edge() -> None:
    labels = np.zeros((2, 3, 3), np.int32)
    labels[:, :, :1] = 300
    found = labels_on_image(labels, SHAPE, BOX, {}, "own", values=(300,))
    assert found.dtype == np.uint16
    # The outline lies between the first two of three coarse columns, so between the second and third of six.
    assert np.array_equal(np.unique(np.nonzero(found)[2]), [2, 3])
    assert (found > 0).sum() == 2 * 6 * 2


def test_probability_of_the_highest_logit_and_certainty_where_annotated() -> None:
    highest = np.full((2, 6, 6), -np.inf, np.float32)
    highest[1] = 0.0
    highest[1, 0, 0] = np.log(3)
    own = probability_on_image(highest, SHAPE, BOX, annotation(r0c0=5, r3c4=255), "own")
    assert own.dtype == np.float16
    assert not own[0].any()
    assert own[1, 1, 2] == pytest.approx(0.75, abs=1e-3)
    assert own[1, 3, 3] == 0.5
    assert own[1, 0, 0] == 1
    assert own[1, 0, 1] == 0  # outside of the box
    everything = probability_on_image(highest, SHAPE, BOX, annotation(r0c0=5, r3c4=255), "all")
    assert everything[1, 3, 3] == 0
    assert everything[1, 3, 4] == 0.5  # not annotated
