# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Groups of values, given by name or by group."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.inferers.propagation.parameters import PropagationParameters, RidgeParameters


def test_values_by_name_go_to_their_group():
    parameters = PropagationParameters(image_size=640, use_ridge=False, levels=["c4"])
    assert parameters.grids.image_size == 640
    assert not parameters.ridge.use_ridge
    assert parameters.evidence.levels == ("c4",)
    assert parameters.levels == ("c4", "c5")
    assert parameters == PropagationParameters(image_size=640, levels=("c4",), ridge=RidgeParameters(use_ridge=False))


def test_replace_takes_names_and_keeps_the_rest():
    base = PropagationParameters(image_size=160, bias=-1.0)
    changed = replace(base, use_flow=False)
    assert (changed.masks.bias, changed.grids.image_size, changed.evidence.use_flow) == (-1.0, 160, False)
    assert base.evidence.use_flow


def test_flat_values_make_the_same_again():
    parameters = PropagationParameters(bias=0.5, ridge_levels=("c5",))
    assert PropagationParameters(**parameters.flat()) == parameters
    assert set(parameters.flat()) == set(PropagationParameters.names())


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="grid_size must be at least 1, got 0"):
        PropagationParameters(grid_size=0)
    with pytest.raises(ValueError, match="levels"):
        PropagationParameters(levels=())
    with pytest.raises(TypeError, match="no propagation parameter colour; there are image_size"):
        PropagationParameters(colour=1)
