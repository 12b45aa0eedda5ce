# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One walk through a volume."""

from __future__ import annotations

import numpy as np

from scripts.inferers.propagation.geometry.survey import survey_slices


def test_sums_against_plain_arrays():
    image = np.random.default_rng(0).uniform(-5, 15, (4, 5, 6))
    scaled = np.clip(image / 10, 0, 1)
    survey = survey_slices(image, 0, 10)
    np.testing.assert_allclose(survey.profile, scaled.sum((0, 1)), rtol=1e-5)
    np.testing.assert_array_equal(survey.bright, (scaled > 0.15).sum(0))
    assert survey.num_slices == 4
    turned, other = survey.mirrored(), survey_slices(image[..., ::-1], 0, 10)
    np.testing.assert_array_equal(turned.profile, other.profile)
    np.testing.assert_array_equal(turned.bright, other.bright)
