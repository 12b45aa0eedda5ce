# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One orientation for a volume and its mirror image."""

from __future__ import annotations

import numpy as np

from scripts.inferers.propagation.geometry.handedness import is_mirrored


def test_the_third_moment_decides():
    leaning = np.array([0, 1, 5, 2, 1, 1, 0], float)  # tail to the right: positive third moment
    assert not is_mirrored(leaning)
    assert is_mirrored(leaning[::-1])
    assert not is_mirrored(np.pad(leaning, (3, 17)))
    assert is_mirrored(np.pad(leaning[::-1], (0, 9)))
    assert not is_mirrored(np.zeros(4))
