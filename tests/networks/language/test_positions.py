# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Position tables for any grid."""

from __future__ import annotations

import math

import pytest
import torch

from scripts.networks.language.positions import resize_positions, sine_positions_1d, sine_positions_2d


def test_own_grid_and_others() -> None:
    table = torch.randn(16, 3)
    assert resize_positions(table, (4, 4)) is table
    ramp = torch.arange(4.0)[:, None].expand(4, 4).reshape(16, 1)  # the row's number
    wide = resize_positions(ramp, (4, 7)).reshape(4, 7)
    torch.testing.assert_close(wide, torch.arange(4.0)[:, None].expand(4, 7))
    with pytest.raises(ValueError, match="15 positions is not of a square grid"):
        resize_positions(table[:15], (4, 4))


def test_sines_by_hand() -> None:
    row = sine_positions_1d(4, 3)[2]
    torch.testing.assert_close(row, torch.tensor([math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)]))
    table = sine_positions_2d(8, (2, 3))
    torch.testing.assert_close(table[1 * 3 + 2, :4], sine_positions_1d(4, 3)[2])
    torch.testing.assert_close(table[1 * 3 + 2, 4:], sine_positions_1d(4, 2)[1])
