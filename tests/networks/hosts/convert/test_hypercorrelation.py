# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Names of the 4-D head's published weights."""

from __future__ import annotations

import pytest
import torch

from scripts.networks.blocks.hypercorrelation_head import HypercorrelationHead
from scripts.networks.hosts.convert.hypercorrelation import head_names, rename


def test_every_weight_of_the_head_has_one_name() -> None:
    ours = set(HypercorrelationHead([4, 6, 3]).state_dict())
    names = head_names("")
    assert set(names.values()) == ours
    assert len(names) == len(ours)
    assert all(theirs.startswith("hpn_learner.") for theirs in names)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("encoder_layer2.0.conv1.weight", "squeeze.0.first.conv.query_conv.weight"),
        ("encoder_layer2.3.conv2.bias", "squeeze.0.later.0.conv.support_conv.bias"),
        ("encoder_layer4.7.weight", "squeeze.2.later.1.norm.weight"),
        ("encoder_layer4to3.1.bias", "mix_middle.0.norm.bias"),
        ("encoder_layer3to2.6.conv1.weight", "mix_finest.2.conv.query_conv.weight"),
        ("decoder1.2.weight", "decoder.2.weight"),
        ("decoder2.0.bias", "classifier.0.bias"),
    ],
)
def test_names_side_by_side(theirs: str, ours: str) -> None:
    assert head_names()[f"hpn_learner.{theirs}"] == f"head.{ours}"
    assert head_names("a.")[f"hpn_learner.{theirs}"] == f"a.{ours}"


def test_renaming() -> None:
    state = {"module.x": torch.ones(1), "y": torch.zeros(2), "backbone.z": torch.zeros(3)}
    found = rename(state, {"x": "a", "y": "b"}, ignored=("backbone.",), method="PATNet")
    assert list(found) == ["a", "b"]
    assert found["a"] is state["module.x"]
    assert found["b"] is state["y"]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"x": torch.ones(1)}, r"^this is not a PATNet checkpoint: missing \['y', 'z'\]; unexpected \[\]$"),
        (
            {"x": torch.ones(1), "y": torch.ones(1), "z": torch.ones(1), "w": torch.ones(1), "module.v": torch.ones(1)},
            r"missing \[\]; unexpected \['v', 'w'\]$",
        ),
        ({}, r"missing \['x', 'y', 'z'\]"),
    ],
)
def test_what_is_missing_or_unexpected_is_listed(state: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rename(state, {"z": "c", "x": "a", "y": "b"}, method="PATNet")
