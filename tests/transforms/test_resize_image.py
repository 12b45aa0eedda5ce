# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from scripts.transforms import ResizeImaged


@pytest.mark.parametrize("antialias", [False, True])
def test_matches_plain_interpolation(antialias: bool) -> None:
    image = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))
    result = ResizeImaged("image", 8, antialias=antialias)({"image": image, "label": 1})
    expected = F.interpolate(image[None], (8, 8), mode="bilinear", align_corners=False, antialias=antialias)[0]
    assert torch.equal(result["image"], expected)
    assert result["label"] == 1


def test_smoothing_matters_where_pictures_shrink() -> None:
    stripes = torch.zeros(1, 32, 32)
    stripes[:, :, ::4] = 1
    sharp, smooth = (ResizeImaged("image", 8, antialias=flag)({"image": stripes})["image"] for flag in (False, True))
    assert (sharp - 0.25).abs().max() > (smooth - 0.25).abs().max()


def test_size_is_checked() -> None:
    with pytest.raises(ValueError, match="size must be at least 1"):
        ResizeImaged("image", 0)
