# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Only what learns goes to the optimizer."""

from __future__ import annotations

import pytest
from torch import nn

from scripts.engines import parameter_groups, trainable_parameters


def test_frozen_parts_are_left_out() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    network[0].requires_grad_(False)
    assert [tuple(parameter.shape) for parameter in trainable_parameters(network)] == [(1, 3), (1,)]


def test_nothing_to_train() -> None:
    network = nn.Sequential(nn.ReLU())
    with pytest.raises(ValueError, match="host Sequential has no parameters to train"):
        trainable_parameters(network)


def test_groups_have_their_rates_and_hold_everything_once() -> None:
    network = nn.ModuleDict({"backbone": nn.Linear(2, 3), "host": nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))})
    groups = parameter_groups(network, 0.1, head_factor=10.0, bias_factor=2.0)
    assert [group["lr"] for group in groups] == pytest.approx([0.1, 0.2, 1.0, 2.0])
    assert [len(group["params"]) for group in groups] == [1, 1, 2, 2]
    assert groups[1]["params"][0] is network["backbone"].bias
    network["backbone"].requires_grad_(False)
    assert [group["lr"] for group in parameter_groups(network, 0.1, 10.0, 2.0)] == pytest.approx([1.0, 2.0])
