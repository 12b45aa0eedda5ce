# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What is kept of the logits."""

from __future__ import annotations

import numpy as np

from scripts.inferers.propagation.chains.logit_summary import LogitSummary


def test_numbers_and_the_highest_map():
    summary = LogitSummary((2, 1, 3), keep_highest=True)
    summary.add(1, {4: np.array([[-3, 1, 2]], np.float32), 7: np.array([[-1, 0, 5]], np.float32)})
    assert summary.strongest == {(1, 4): 2.0, (1, 7): 5.0}
    assert summary.doubtful == {(1, 4): 1, (1, 7): 2}
    assert summary.highest[1].tolist() == [[-1, 1, 5]]
    assert np.isneginf(summary.highest[0]).all()
    summary.refuse(1, 4, 9.0)  # it was considered there: its own logits count
    summary.refuse(0, 4, -2.0)
    assert summary.strongest[1, 4] == 2.0
    assert summary.strongest[0, 4] == -2.0
    assert LogitSummary((2, 1, 3), keep_highest=False).highest is None
