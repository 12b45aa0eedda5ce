# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Intensity ranges and histograms."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.inferers.propagation.evidence.intensity import histogram_log_ratio, intensity_range, scale_intensity
from scripts.inferers.propagation.parameters import EvidenceParameters

EVIDENCE = EvidenceParameters()


def test_histogram_ratio_tells_bright_from_dark():
    foreground, background = np.full(500, 0.8, np.float32), np.full(500, 0.2, np.float32)
    image = np.array([[0.8, 0.2]], np.float32)
    ratio = histogram_log_ratio(image, foreground, background, EVIDENCE)
    assert ratio[0, 0] == EVIDENCE.histogram_clip
    assert ratio[0, 1] == -EVIDENCE.histogram_clip


def test_intensity_range_of_units():
    rng = np.random.default_rng(0)
    magnetic = rng.uniform(0, 800, (4, 32, 32))
    low, high = intensity_range(magnetic)
    assert low < 20
    assert 770 < high < 800
    assert intensity_range(np.where(magnetic < 400, -1000, magnetic)) == (-150.0, 250.0)
    assert scale_intensity(np.array([-200, 50, 400]), -150, 250).tolist() == pytest.approx([0, 0.5, 1])
