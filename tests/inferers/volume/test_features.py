# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Where slices are encoded, and how many at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from scripts.inferers.volume.features import SliceEncoder


class Recording:
    """Notes device and size of the batches."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def features(self, image: Tensor) -> dict[str, Tensor]:
        self.seen.append((image.device.type, len(image)))
        return {"c4": torch.zeros(len(image), 2, 3, 3)}


def encode(**options: object) -> Recording:
    source = Recording()
    found = SliceEncoder(["c4"], 8, segmenter=source, **options).encode(np.zeros((5, 4, 4)), 0, 1)  # type: ignore[arg-type]
    assert found["c4"].shape == (5, 2, 3, 3)
    return source


def test_batches_go_to_the_device() -> None:
    assert encode().seen == [("cpu", 2), ("cpu", 2), ("cpu", 1)]
    assert encode(device="meta", batch_size=5).seen == [("meta", 5)]


def test_a_module_is_moved_where_it_is_told() -> None:
    module = torch.nn.Conv2d(3, 2, 1)
    assert SliceEncoder(["c4"], 8, segmenter=module).device.type == "cpu"
    SliceEncoder(["c4"], 8, segmenter=module, device="meta")
    assert module.weight.device.type == "meta"


@pytest.mark.parametrize(("available", "device", "batch_size"), [(True, "cuda", 16), (False, "cpu", 2)])
def test_the_default_backbone_takes_a_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, available: bool, device: str, batch_size: int
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    encoder = SliceEncoder(["c4"], 8)
    assert (encoder.device.type, encoder.batch_size) == (device, batch_size)
    assert SliceEncoder(["c4"], 8, device="cpu").device.type == "cpu"
