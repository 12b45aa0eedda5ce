# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Flow between slices."""

from __future__ import annotations

import numpy as np

from scripts.inferers.propagation.evidence.optical_flow import carry, dense_flow


def test_flow_carries_a_mask_to_the_shifted_slice():
    rows, columns = np.mgrid[:64, :64]
    source = np.exp(-((rows - 30) ** 2 + (columns - 30) ** 2) / 120).astype(np.float32)
    target = np.roll(source, 4, axis=1)
    carried = carry((source > 0.5).astype(np.float32), dense_flow(target, source)) > 0.5
    expected = target > 0.5
    assert 2 * (carried & expected).sum() / (carried.sum() + expected.sum()) > 0.95


def test_carry_follows_the_flow_by_hand():
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    flow = np.zeros((3, 4, 2), np.float32)
    flow[..., 0] = 1  # what lies at x lies at x + 1 in the source
    assert carry(image, flow)[:, :3].tolist() == image[:, 1:].tolist()
    assert not dense_flow(np.zeros((8, 40), np.float32), np.ones((8, 40), np.float32)).any()  # too small for a patch
