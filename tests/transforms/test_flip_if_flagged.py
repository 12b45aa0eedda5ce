# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import torch

from scripts.transforms import FlipIfFlaggedd


def test_only_marked_items_are_mirrored_left_to_right() -> None:
    item = {"image": torch.arange(6.0).view(1, 2, 3), "label": torch.arange(6).view(1, 2, 3)}
    flip = FlipIfFlaggedd(("image", "label"))
    assert torch.equal(flip(item)["image"], item["image"])
    assert torch.equal(flip({**item, "flip": False})["image"], item["image"])
    marked = flip({**item, "flip": True})
    assert marked["image"].tolist() == [[[2, 1, 0], [5, 4, 3]]]
    assert marked["label"].tolist() == [[[2, 1, 0], [5, 4, 3]]]
    assert item["image"][0, 0].tolist() == [0, 1, 2]  # the item itself is untouched
