# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Another look at an annotated image: flips, quarter turns, light and colour."""

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

__all__ = ["augment"]


def augment(image: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Flip along either axis and change brightness and contrast, each half of the time; turn; shift the colours always.

    Args:
        image: (3, S, S) RGB in [0, 1].
        mask: (1, S, S); turned and flipped with the image.
        generator: on the CPU.

    Returns:
        Image and mask of the same shapes.
    """

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand([], generator=generator))

    for axis in (1, 2):
        if draw(0, 1) < 0.5:
            image, mask = image.flip(axis), mask.flip(axis)
    turns = int(torch.randint(4, [], generator=generator))
    image, mask = image.rot90(turns, (1, 2)), mask.rot90(turns, (1, 2))
    if draw(0, 1) < 0.5:
        image = TF.adjust_contrast(TF.adjust_brightness(image, draw(0.8, 1.2)), draw(0.8, 1.2))
    # Ranges as published, in OpenCV's units: hue 20 of 180, saturation 30 and value 20 of 255.
    image = TF.adjust_hue(image, draw(-20 / 180, 20 / 180))
    image = TF.adjust_saturation(image, 1 + draw(-30 / 255, 30 / 255))
    return TF.adjust_brightness(image, 1 + draw(-20 / 255, 20 / 255)), mask
