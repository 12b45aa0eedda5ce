# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""An experiment says what differs from another one, by the names that users know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.handlers import Experiment

VALUES: dict[str, Any] = {
    "names": {"host": "ifa", "text": "off"},
    "options": {"fold": 0},
    "host_def": {"_target_": ".networks.hosts.IFA", "levels": ["c4", "c5"], "neck_channels": 328},
    "train.dataset": {"num_shots": 1, "data": {"items": 3, "items_sha256": "ab"}},
    "load_transforms": [{"size": 400}, {"keys": "image"}],
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**json.loads(json.dumps(VALUES)), **changes}


def test_the_same_values_in_any_order_are_the_same_experiment() -> None:
    turned = Experiment(dict(reversed(VALUES.items())))
    assert turned.sha256 == Experiment(VALUES).sha256
    assert turned.differences(VALUES) == []
    assert Experiment({"levels": ("c4", "c5")}).differences({"levels": ["c4", "c5"]}) == []


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (changed(options={"fold": 1}), ["fold was 0, now 1"]),
        (changed(names={"host": "ifa", "text": "minilm"}), ["text was 'off', now 'minilm'"]),
        (changed(options={}), ["fold was 0, now not there"]),
        (changed(load_transforms=[{"size": 256}, {"keys": "image"}]), ["image_size was 400, now 256"]),
        (
            changed(host_def={"_target_": ".networks.hosts.QNet", "levels": ["c4"], "fine_weight": 0.9}),
            ["host_def was '.networks.hosts.IFA', now '.networks.hosts.QNet'"],
        ),
        (
            changed(**{"train.dataset": {"num_shots": 5, "data": {"items": 3, "items_sha256": "cd"}}}),
            ["train.dataset.num_shots was 1, now 5", "train_datalist has other content"],
        ),
    ],
)
def test_what_differs(values: dict[str, Any], told: list[str]) -> None:
    other = Experiment(values, {"load_transforms.0.size": "image_size", "train.dataset.data": "train_datalist"})
    assert other.differences(VALUES) == told
    assert other.sha256 != Experiment(VALUES).sha256


def test_a_key_used_twice_is_named_once_and_many_are_counted() -> None:
    keys = {"a.size": "image_size", "b.size": "image_size"}
    other = Experiment({"a": {"size": 2}, "b": {"size": 2}}, keys)
    assert other.differences({"a": {"size": 1}, "b": {"size": 1}}) == ["image_size was 1, now 2"]
    many = Experiment({str(index): 1 for index in range(12)}).differences({})
    assert len(many) == 9
    assert many[-1] == "and 4 more"


def test_it_is_written_readable(tmp_path: Path) -> None:
    experiment = Experiment(VALUES)
    content = json.loads(experiment.write(tmp_path).read_text())
    assert content.pop("sha256") == experiment.sha256
    assert content == VALUES
    assert experiment.title() == "host ifa, text off, fold 0"
