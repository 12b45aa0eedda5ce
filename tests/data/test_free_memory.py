# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Freed memory goes back to the system."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from scripts.data.free_memory import release_free_memory


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only the GNU allocator on Linux keeps the holes")
def test_holes_between_small_tensors_are_released() -> None:
    kept, freed = [], []
    for _ in range(1500):
        kept.append(torch.ones(25_000))  # 100 kB, stays
        freed.append(torch.ones(25_000))  # 100 kB, goes
    del freed
    before = _resident_mib()
    assert release_free_memory()
    assert _resident_mib() < before - 100
    assert all(bool((tensor == 1).all()) for tensor in kept)
