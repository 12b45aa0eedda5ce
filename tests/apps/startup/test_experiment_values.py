# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What of a configuration decides a result, and what doesn't."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from scripts.apps.startup.experiment_values import describe_experiment, experiment_of
from scripts.handlers import Experiment

CONFIG: dict[str, Any] = {
    "output_dir": "out",
    "dataset_dir": "data",
    "device": "cpu",
    "epochs": 3,
    "fold": 0,
    "rate": 0.1,
    "size": 4,
    "items": "$[{'image': @dataset_dir + '/a.png', 'case_id': str(@fold)}]",
    "model": {"_target_": "torch.nn.Linear", "in_features": "@size", "out_features": 2, "device": "@device"},
    "optimizer": {"_target_": "torch.optim.SGD", "params": "$list(@model.parameters())", "lr": "@rate"},
    "schedule": {
        "_target_": "torch.optim.lr_scheduler.CosineAnnealingLR",
        "optimizer": "@optimizer",
        "T_max": "@epochs",
    },
    "unused": 1,
    "trainer": {
        "_target_": "builtins.dict",
        "data": "@items",
        "schedule": "@schedule",
        "max_epochs": "@epochs",
        "log": "$@output_dir + '/log'",
        "handlers": [{"_target_": "StatsHandler", "iteration_log": False}],
    },
}


def described(folder: Path, **changes: Any) -> Experiment:
    parser = ConfigParser({**json.loads(json.dumps(CONFIG)), "dataset_dir": str(folder), **changes})
    return experiment_of(parser, ["trainer"], {"host": "toy"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(b"a")
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rate": 0.2}, ["rate was 0.1, now 0.2"]),
        ({"size": 5}, ["size was 4, now 5"]),
        ({"fold": 1}, ["fold was 0, now 1", "items has other content"]),
        ({"epochs": 9, "output_dir": "other", "device": "meta", "unused": 2}, []),
    ],
)
def test_what_decides(folder: Path, changes: dict[str, Any], told: list[str]) -> None:
    assert described(folder, **changes).differences(described(folder).values) == told


def test_files_count_by_content(folder: Path) -> None:
    before = described(folder)
    moved = folder.rename(folder.with_name("moved"))
    assert described(moved).sha256 == before.sha256
    (moved / "a.png").write_bytes(b"b")
    assert described(moved).differences(before.values) == ["items has other content"]


def test_reports_are_no_part(folder: Path) -> None:
    values = described(folder).values
    assert values["schedule"]["T_max"] == "@epochs"
    assert values["model"] == {"_target_": "torch.nn.Linear", "in_features": 4, "out_features": 2}
    assert "unused" not in json.dumps(values)
    assert "StatsHandler" not in json.dumps(values)


def test_without_a_configuration() -> None:
    with pytest.raises(RuntimeError, match="describe_experiment reads the configuration that calls it"):
        describe_experiment(["trainer"], {})
