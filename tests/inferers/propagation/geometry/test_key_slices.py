# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Which slices masks travel over."""

from __future__ import annotations

import numpy as np

from scripts.inferers.propagation.geometry.key_slices import choose_key_slices, slice_step


def test_key_slices():
    assert slice_step(320, 7.7, 0.017) == 1
    assert slice_step(320, 2.5, 0.0) == 1
    keys = choose_key_slices(20, [5, 12], 3)
    assert {0, 5, 12, 19} <= set(keys)
    assert max(np.diff(keys)) <= 4
    assert choose_key_slices(4, [1], 1) == [0, 1, 2, 3]
