# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Slices as the propagation sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from scripts.inferers.propagation.parameters import GridParameters
from scripts.inferers.volume.features import SliceEncoder
from scripts.inferers.volume.slices import VolumeSlices
from scripts.inferers.volume.working_stack import working_stack


class Seen:
    """Keeps the images that the backbone would see."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []

    def features(self, image: Tensor, /) -> dict[str, Tensor]:
        self.images.append(image)
        return {"c4": image[:, :1]}


def test_slices_are_cropped_scaled_and_brought_to_square_pixels() -> None:
    image = np.zeros((3, 20, 20))
    image[:, 4:14, 5:15] = 25.0
    image[:, 4:14, 5:10] = 100.0
    slices = VolumeSlices(image, spacing=(5, 2, 1), intensity_window=(0, 100))
    source, told = Seen(), list[Any]()
    encoder = SliceEncoder(["c4"], 10, segmenter=source, batch_size=3)
    grids = GridParameters(image_size=10, grid_size=5, working_size=20)
    stack = working_stack(slices, (slice(4, 14), slice(5, 15)), grids, encoder, lambda *call: told.append(call))
    assert stack.shape == (20, 10)  # 20 mm x 10 mm, longer side of 20 pixels
    assert stack.grid == (5, 2)
    assert stack.images[1, 7].tolist() == pytest.approx([1.0] * 5 + [0.5] * 5, abs=1e-4)  # square root of the scaled
    assert source.images[0].shape == (3, 3, 10, 10)
    assert source.images[0][0, 0, 0].tolist() == pytest.approx([1.0] * 5 + [0.25] * 5, abs=1e-4)
    assert stack.features["c4"].dtype == torch.float16
    assert told == [("features", 3, 3)]
