# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The grid with square pixels, there and back."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.inferers.propagation.geometry.working_grid import (
    labels_to_image,
    labels_to_working,
    resize,
    to_working,
    working_shape,
)


@pytest.mark.parametrize(
    ("shape", "pixels", "expected"),
    [
        ((256, 256), (1.25, 1.25), (256, 256)),
        ((512, 256), (0.7, 1.4), (256, 256)),
        ((36, 256), (7.7, 1.25), (222, 256)),
    ],
)
def test_working_grid_has_square_pixels(shape, pixels, expected):
    assert working_shape(shape, pixels, 256) == expected


def test_labels_survive_the_working_grid():
    label = np.zeros((300, 300), np.uint8)
    label[40:120, 50:200] = 3
    label[200, 200] = 9
    working = labels_to_working(label, (128, 128), (3, 9))
    assert (working == 9).any()
    back = labels_to_image(working, (300, 300))
    same = 2 * ((back == 3) & (label == 3)).sum() / ((back == 3).sum() + (label == 3).sum())
    assert same > 0.98


def test_shrinking_takes_the_mean_of_an_area():
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert resize(image, (2, 2)).tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert to_working(image, (4, 4)).max() == 1
