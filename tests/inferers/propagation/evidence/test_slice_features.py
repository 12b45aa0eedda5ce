# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Features of slices: how the backbone is asked, and what a stack derives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from scripts.inferers.propagation.evidence.slice_features import SliceStack, extract_features, unit_features


def brightness(image: Tensor) -> dict[str, Tensor]:
    """One level: the image in 2 x 2 means; another one with the number of images in the batch."""
    size = torch.full((len(image), 1, 1, 1), float(len(image)))
    return {"c4": torch.nn.functional.avg_pool2d(image, image.shape[-1] // 2), "c5": size}


def test_slices_pass_in_batches_as_grey_images() -> None:
    slices = [np.full((4, 6), value) for value in (0.25, 0.5, 1.0)]
    slices[1][:, :3] = 0.0  # the left half is dark
    told: list[tuple[int, int]] = []
    found = extract_features(
        slices, brightness, ["c4", "c5"], 8, batch_size=2, progress=lambda done, total: told.append((done, total))
    )
    assert found["c4"].dtype == torch.float16
    assert found["c4"].shape == (3, 3, 2, 2)  # three equal channels
    assert found["c4"][0].unique().tolist() == [0.25]
    dark, bright = found["c4"][1, 0, 0].tolist()
    # Half-pixel-centred, 6 columns to 8: column 3 lies 1/8 behind the edge's dark side, so it gets 0.125 * 0.5.
    assert (dark, bright) == (0.125 * 0.5 / 4, (0.875 * 0.5 + 3 * 0.5) / 4)
    assert found["c5"].flatten().tolist() == [2, 2, 1]
    assert told == [(2, 3), (3, 3)]


def test_a_source_is_asked_for_its_features_and_missing_levels_are_named() -> None:
    class Source:
        def features(self, image: Tensor, /) -> dict[str, Tensor]:
            return brightness(image)

    assert list(extract_features([np.ones((2, 2))], Source(), ["c4"], 4)) == ["c4"]
    with pytest.raises(ValueError, match=r"matches the levels c3, c4, but .* computes only c4, c5"):
        extract_features([np.ones((2, 2))], Source(), ["c3", "c4"], 4)


def test_unit_vectors_on_the_common_grid() -> None:
    maps = torch.tensor([[[3.0, 0.0]], [[4.0, 2.0]]])  # (C, 1, 2)
    assert torch.allclose(unit_features(maps, (1, 2)), torch.tensor([[0.6, 0.0], [0.8, 1.0]]))
    wide = unit_features(maps, (1, 4))  # between the cells: 3/4 of one and 1/4 of the other, then the length taken off
    assert torch.allclose(wide[:, 1], torch.tensor([2.25, 3.5]) / (2.25**2 + 3.5**2) ** 0.5)


def test_a_stack_and_its_parts_share_what_is_derived() -> None:
    images = np.zeros((4, 20, 40), np.float32)
    images[2, 10, 20] = 1.0
    stack = SliceStack(images, {"c4": torch.arange(8.0).reshape(4, 2, 1, 1)}, 10)
    assert (len(stack), stack.shape, stack.grid) == (4, (20, 40), (5, 10))  # square cells, ten along the longer side
    part = stack.subset([1, 2])
    assert (len(part), part.key) == (2, (1, 2))
    assert part.subset([1]).key == (2,)
    assert part.image(1)[10, 20] == 1
    assert part.unit(1) is stack.unit(2)
    vector = part.unit(0)["c4"]  # channels 2 and 3
    assert torch.allclose(vector, torch.tensor([2.0, 3.0])[:, None].expand(2, 50) / 13**0.5)
    smooth = part.smooth(1, 1.0)
    assert smooth is stack.smooth(2, 1.0)
    assert smooth[10, 20] / smooth[10, 21] == pytest.approx(np.exp(0.5), rel=1e-3)  # of a Gaussian of one pixel
    assert part.flow(0, 0).shape == (20, 40, 2)


def test_the_latest_derived_maps_are_kept() -> None:
    images = np.zeros((3, 16, 16), np.float32)
    stack = SliceStack(images, {"c4": torch.ones(3, 2**16, 1, 1)}, 2, kept_mib=2)  # 1 MiB a slice: two have room
    first, second = stack.unit(0), stack.unit(1)
    assert stack.unit(0) is first
    stack.unit(2)
    assert stack.unit(0) is first, "the one that was asked for last stays"
    assert stack.unit(1) is not second
