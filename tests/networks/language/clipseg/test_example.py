# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""An annotated image as a prompt: dark and blurred around the object, and cut to it."""

from __future__ import annotations

import pytest
import torch

from scripts.networks.language.clipseg.example import masked_example


def test_what_is_shown() -> None:
    image, label = torch.full((1, 3, 40, 60), 0.8), torch.zeros(1, 1, 40, 60)
    label[..., 10:20, 30:40] = 1
    image[:, :, 10:20, 30:40] = 0.5
    shown = masked_example(image, label)
    assert shown.shape == (1, 3, 40, 40)
    middle, corner = shown[0, :, 18:22, 18:22], shown[0, :, 0, 0]
    torch.testing.assert_close(middle, torch.full_like(middle, 0.5))
    assert (corner < 0.1).all()
    # the object, 4 % of the image before, fills most of the cut
    assert (shown[0, 0] > 0.3).float().mean() > 0.5


def test_an_object_at_the_border_and_an_ignored_one() -> None:
    image, label = torch.rand(2, 3, 32, 32), torch.zeros(2, 1, 32, 32)
    label[0, :, :32, :32] = 1
    label[1, :, :5, :5] = 1
    assert masked_example(image, label).shape == image.shape
    torch.testing.assert_close(masked_example(image, label)[0], image[0], rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="at least one annotated pixel"):
        masked_example(image, torch.where(label == 1, 255, label))
