# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import torch

from scripts.networks.adaptation.augmentation import augment


def make_pair() -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.zeros(1, 16, 16)
    mask[0, 2:9, 3:14] = 1
    mask[0, 9, 3] = 255
    image = 0.2 + 0.6 * (mask == 1).float().expand(3, -1, -1)
    image[2] *= 0.5
    return image, mask


def test_image_and_mask_move_together() -> None:
    image, mask = make_pair()
    generator = torch.Generator().manual_seed(0)
    places = set()
    for _ in range(40):
        altered, moved = augment(image, mask, generator)
        assert altered.shape == image.shape
        assert 0 <= altered.min() <= altered.max() <= 1
        assert torch.equal(altered.sum(0) > altered.sum(0).mean(), moved[0] == 1)
        assert torch.equal(moved.flatten().sort()[0], mask.flatten().sort()[0])
        places.add(bytes(moved.numpy().tobytes()))
    assert len(places) == 8  # four turns of two mirror images


def test_colours_change_every_time() -> None:
    image, mask = make_pair()
    generator = torch.Generator().manual_seed(1)
    means = [float(augment(image, mask, generator)[0].mean()) for _ in range(5)]
    assert len(set(means)) == 5


def test_same_generator_same_copy() -> None:
    image, mask = make_pair()
    first, second = (augment(image, mask, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
