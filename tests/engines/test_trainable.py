# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Only what learns goes to the optimizer."""

from __future__ import annotations

import pytest
from torch import nn

from scripts.engines import trainable_parameters


def test_frozen_parts_are_left_out() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    network[0].requires_grad_(False)
    assert [tuple(parameter.shape) for parameter in trainable_parameters(network)] == [(1, 3), (1,)]


def test_nothing_to_train() -> None:
    network = nn.Sequential(nn.ReLU())
    with pytest.raises(ValueError, match="host Sequential has no parameters to train"):
        trainable_parameters(network)
