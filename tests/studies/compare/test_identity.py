# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the identity of a cell covers on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.apps.startup.assembly import CONFIGS, Target
from scripts.studies.compare.cell import Cell
from scripts.studies.compare.identity import named_files


@pytest.fixture
def target(tmp_path: Path) -> Target:
    (tmp_path / "CHEST").mkdir()
    return Target("chest_xray", tmp_path / "CHEST")


def test_overlays_of_one_file_name_are_kept_apart(target: Target) -> None:
    configs = Cell("matching", "off", "off", target, 1, 0).identity()["configs"]
    names = ["train.json", "evaluate.json", "hosts/matching.json", "data/chest_xray.json", "text/off.json"]
    assert list(configs) == [*names, "refinement/off.json"]
    assert configs["text/off.json"] != configs["refinement/off.json"]


def test_the_descriptions_of_a_data_set_are_covered(target: Target) -> None:
    files = Cell("prototype", "minilm", "off", target, 1, 0).identity()["files"]
    assert list(files) == ["prompts/chest_xray.json"]


@pytest.mark.parametrize(
    "content",
    [
        {"prompts_file": "FILE"},
        {"prompts_file": "$'FOLDER' + '/' + 'own.bin'"},
        {
            "embeddings_file": "FILE",
            "text_table": {"_target_": "scripts.text.Own", "embeddings_file": "@embeddings_file"},
        },
        {"backbone_weights": "FILE"},
        {"backbone_def": {"_target_": "scripts.networks.backbones.resnet50", "weights": "FILE"}},
        {"anything": ["FILE"]},
        {"text_model": "FOLDER"},
    ],
)
def test_a_named_file_that_changes_changes_the_identity(
    target: Target, tmp_path: Path, content: dict[str, Any]
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    file = folder / "own.bin"
    overlay = tmp_path / "overlay.json"
    overlay.write_text(json.dumps(content).replace("FILE", str(file)).replace("FOLDER", str(folder)))
    cell = Cell("prototype", str(overlay), "off", target, 1, 0)
    identities = []
    for text in ("one", "other"):
        file.write_text(text)
        identities.append(cell.identity())
    assert identities[0]["files"] != identities[1]["files"]
    assert {**identities[0], "files": {}} == {**identities[1], "files": {}}


@pytest.mark.parametrize("key", ["cache_file", "index_file", "episode_list_output"])
def test_what_a_run_writes_is_not_covered(tmp_path: Path, key: str) -> None:
    (tmp_path / "made").write_text("by a run")
    overlay = tmp_path / "overlay.json"
    overlay.write_text(json.dumps({key: str(tmp_path / "made")}))
    assert named_files([str(CONFIGS / "train.json"), str(overlay)]) == named_files([str(CONFIGS / "train.json")])


def test_nothing_is_built_to_find_files(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.json"
    built = {"_target_": "builtins.open", "file": str(tmp_path / "written"), "mode": "w"}
    overlay.write_text(json.dumps({"made": built, "own_file": "$@made.name", "other_file": "@made"}))
    named_files([str(CONFIGS / "train.json"), str(overlay)])
    assert not (tmp_path / "written").exists()
