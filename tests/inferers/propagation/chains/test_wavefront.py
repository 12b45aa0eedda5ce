# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Masks while they travel."""

from __future__ import annotations

import numpy as np

from scripts.inferers.propagation.chains.wavefront import _reached_by, tidy
from scripts.inferers.propagation.evidence.label_rules import LabelRules
from scripts.inferers.propagation.parameters import PropagationParameters

PARAMETERS = PropagationParameters()
RULES = LabelRules.default(PARAMETERS.evidence, PARAMETERS.masks, PARAMETERS.ridge)


def test_only_small_holes_are_filled_on_the_way() -> None:
    mask = np.ones((20, 20), bool)
    mask[2:4, 2:4] = mask[8:16, 8:16] = False
    assert tidy(mask, RULES).all()
    on_the_way = tidy(mask, RULES, PARAMETERS.masks.largest_hole)
    assert on_the_way[2:4, 2:4].all()
    assert not on_the_way[8:16, 8:16].any()


def test_the_logit_that_enough_pixels_reach() -> None:
    logits = np.array([5.0, -1.0, 2.0, 0.0])
    assert [_reached_by(logits, count) for count in (1, 2, 3, 9)] == [5, 2, 0, -1]
    assert _reached_by(logits[:0], 3) == -9
