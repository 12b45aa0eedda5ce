# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch

from scripts.apps.reports.peak_memory import peak_mib


def test_the_peak_counts_what_lives_together() -> None:
    def one_after_the_other() -> int:
        for _ in range(4):
            torch.ones(2**20)  # 4 MiB, freed at once
        return 7

    def together() -> torch.Tensor:
        return torch.stack([torch.ones(2**20) for _ in range(4)])  # four, and their stack

    result, mib = peak_mib(one_after_the_other)
    assert result == 7
    assert mib == pytest.approx(4, abs=0.5)
    stacked, mib = peak_mib(together, torch.device("cpu"))
    assert stacked.shape == (4, 2**20)
    assert mib == pytest.approx(32, abs=0.5)


def test_what_was_held_before_is_not_counted() -> None:
    held = torch.ones(2**22)
    _, mib = peak_mib(lambda: held[:1] + 1)
    assert mib < 0.1
