# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import pytest

from scripts.data.episodes.few_shot_setting import training_items
from scripts.data.readers.chaos_mr import read_chaos_mr

from ..conftest import ORGAN_SLICES

KIDNEYS = ["right kidney", "left kidney"]


@pytest.mark.parametrize("setting", [1, 2])
def test_which_slices_a_training_sees(chaos_folder: Path, setting: int) -> None:
    items = training_items(read_chaos_mr(chaos_folder), KIDNEYS, setting)
    own = {item["slice"] for item in items if item["case_id"] == "2"}
    shown = {*ORGAN_SLICES[2], *ORGAN_SLICES[3]}
    assert own == (set(range(10)) if setting == 1 else set(range(10)) - shown)
    assert {name for item in items for name in item["classes"]} == {"liver", "spleen"}
    assert {name for item in items for name in item["areas"]} == {"liver", "spleen"}


def test_pictures_without_test_classes(chaos_folder: Path) -> None:
    volumes = read_chaos_mr(chaos_folder)
    assert len(training_items(volumes, None, 2)) == 40
    with pytest.raises(
        ValueError, match="setting 2 leaves no labelled image to train on: 8 of 40 remain without liver"
    ):
        training_items(volumes, ["liver"], 2)
    with pytest.raises(ValueError, match="setting is 1 or 2, not 3"):
        training_items(volumes, KIDNEYS, 3)
