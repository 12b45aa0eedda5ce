# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The one rule by which logits change their size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from scripts.networks.blocks.logits import resize_logits


@pytest.mark.parametrize(
    ("align_corners", "expected"),
    [(True, [-1.0, 1 / 3, 5 / 3, 3.0]), (False, [-1.0, 0.0, 2.0, 3.0])],  # thirds of the way; quarter points
)
def test_both_rules(align_corners: bool, expected: list[float]) -> None:
    logits = torch.tensor([-1.0, 3.0]).view(1, 1, 1, 2)
    assert torch.allclose(resize_logits(logits, (1, 4), align_corners).flatten(), torch.tensor(expected))


@pytest.mark.parametrize("align_corners", [True, False])
def test_the_same_size_stays_as_it_is(align_corners: bool) -> None:
    logits = torch.rand(2, 2, 5, 7).half()
    assert resize_logits(logits, None, align_corners) is logits
    assert resize_logits(logits, (5, 7), align_corners) is logits


def test_half_precision_is_resized_in_single() -> None:
    logits = torch.rand(1, 2, 5, 7).half()
    found = resize_logits(logits, (20, 30), True)
    assert found.dtype == torch.float32
    assert torch.equal(found, F.interpolate(logits.float(), (20, 30), mode="bilinear", align_corners=True))
    assert resize_logits(logits.double(), (20, 30), True).dtype == torch.float64


def test_another_interpolation() -> None:
    logits = torch.rand(1, 1, 5, 7)
    expected = F.interpolate(logits, (20, 30), mode="bicubic", align_corners=True)
    assert torch.equal(resize_logits(logits, (20, 30), True, "bicubic"), expected)
    assert not torch.allclose(expected, resize_logits(logits, (20, 30), True))


def test_torchscript() -> None:
    logits = torch.rand(1, 2, 5, 7)
    assert torch.equal(torch.jit.script(resize_logits)(logits, (9, 9), True), resize_logits(logits, (9, 9), True))


@pytest.mark.parametrize("room", ["handlers", "studies", "engines", "metrics", "losses", "apps"])
def test_nobody_above_the_networks_interpolates(bundle_root: Path, room: str) -> None:
    files = sorted((bundle_root / "scripts" / room).rglob("*.py"))
    assert files
    assert [file.name for file in files if "interpolate(" in file.read_text()] == []
