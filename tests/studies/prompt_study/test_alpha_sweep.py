# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import csv
import json
from typing import Any

import pytest

from scripts.studies.prompt_study import alpha_sweep, prompt_study


def test_sweep(arguments: dict[str, Any]) -> None:
    report = alpha_sweep(**arguments, alphas=[0.0, 0.3, 1.0])
    found = json.loads(report.with_suffix(".json").read_text())["targets"]["CHAOS"]
    assert list(found) == ["0.0", "0.3", "1.0"]
    off = prompt_study(**arguments, controls=["off"])
    control = json.loads(off.with_suffix(".json").read_text())["targets"]["CHAOS"]["lines"]["trained: off"]
    assert found["0.0"]["class_miou"] == control["metrics"]["class_miou"]  # alpha 0 is the host without text
    assert found["1.0"]["class_miou"] != found["0.0"]["class_miou"]
    assert "| 0.3 | " in report.read_text()
    assert report.with_suffix(".png").stat().st_size > 5000
    with report.with_suffix(".csv").open(newline="") as file:
        assert [row["alpha"] for row in csv.DictReader(file)] == ["0.0", "0.3", "1.0"]


def test_errors_of_the_sweep(arguments: dict[str, Any]) -> None:
    for alphas in ([], [1.5]):
        with pytest.raises(ValueError, match="alphas from 0 to 1"):
            alpha_sweep(**arguments, alphas=alphas)
