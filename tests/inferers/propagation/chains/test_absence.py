# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""How sure it is that a label is absent."""

from __future__ import annotations

import math

import pytest

from scripts.inferers.propagation.chains.absence import confidence_of_absence


def test_a_refused_label_is_as_unlikely_as_its_logit_says():
    found = confidence_of_absence([3, 4], {3: 0.0, 4: math.log(1 / 3), 9: 50.0})
    assert found == pytest.approx({3: 0.5, 4: 0.75})


def test_beyond_the_end_it_must_have_been_missed_and_gone_on():
    found = confidence_of_absence([3, 4, 5], {3: 0.0})
    assert found == pytest.approx({3: 0.5, 4: 1 - 0.5**2, 5: 1 - 0.5**3})
    skipping = confidence_of_absence([3, 5], {3: 0.0}, steps_per_slice=0.5)
    assert skipping[5] == pytest.approx(1 - 0.5**2)


def test_the_likelier_side_counts_and_nothing_is_certain():
    found = confidence_of_absence([1, 2, 3], {1: -math.inf, 3: 0.0})
    assert found == pytest.approx({1: 0.999, 2: 1 - 0.5**2, 3: 0.5})
    assert confidence_of_absence([1], {}) == {1: 0.999}
