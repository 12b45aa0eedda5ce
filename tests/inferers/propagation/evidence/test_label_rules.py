# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Defaults of a label."""

from __future__ import annotations

from scripts.inferers.propagation.evidence.label_rules import LabelRules
from scripts.inferers.propagation.parameters import PropagationParameters


def test_each_rule_comes_from_its_group() -> None:
    own = PropagationParameters(previous_weight=1, annotated_weight=2, intensity_weight=3, ridge_weight=4)
    rules = LabelRules.default(own.evidence, own.masks, own.ridge)
    assert (rules.previous_weight, rules.annotated_weight, rules.intensity_weight, rules.ridge_weight) == (1, 2, 3, 4)
    assert (rules.smallest_area, rules.smallest_island, rules.island_fraction) == (20, 10, 0.1)
    assert rules.fills_holes
