# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The workflow ``compare`` on small radiographs: all cells, the table, resumption, and what it refuses."""

from __future__ import annotations

import ast
import csv
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scripts.apps.startup.assembly import CONFIGS, evaluation_files, find_overlay, find_target, has_guidance, start
from scripts.studies.compare.cell import Cell, run_cell
from scripts.studies.compare.workflow import checkpoint_of, compare, plan

OPTIONS = {"image_size": 96, "num_episodes": 4}


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets that holds six radiographs with bright lungs."""
    root = tmp_path_factory.mktemp("data")
    for kind in ("images", "masks"):
        (root / "CHEST" / kind).mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(6):
        mask = np.zeros((60, 80), bool)
        row, column = 10 + 3 * number, 8 + 4 * number
        mask[row : row + 30, column : column + 25] = True
        image = np.where(mask, 190, 60) + generator.normal(0, 8, mask.shape)
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(root / "CHEST" / "images" / f"C_{number}.png")
        Image.fromarray(mask.astype(np.uint8) * 255).save(root / "CHEST" / "masks" / f"C_{number}_mask.png")
    return root


def settings(root: Path, **changes: Any) -> dict[str, Any]:
    values = {
        "data_root": root,
        "hosts": ["matching", "prototype"],
        "targets": ["CHEST"],
        "text": ["off", "minilm"],
        "allow_untrained": True,
        "feature_cache_dir": root.parent / "features",
        "options": OPTIONS,
    }
    return {**values, **changes}


@pytest.fixture(scope="module")
def finished(data_root: Path) -> Path:
    output = data_root.parent / "compared"
    compare(output, **settings(data_root))
    return output


def rows_of(output: Path) -> list[dict[str, str]]:
    with (output / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_line_per_combination(finished: Path) -> None:
    rows = rows_of(finished)
    combinations = [(row["host"], row["text"]) for row in rows]
    assert combinations == [("matching", "off"), ("prototype", "off"), ("prototype", "minilm")]
    for row in rows:
        assert (row["target"], row["metric"], row["num_masks"]) == ("chest_xray", "class_miou", "4")
        assert 0 < float(row["ci95_low"]) <= float(row["value"]) <= float(row["ci95_high"]) <= 1
        assert float(row["peak_mib"]) > 0
        assert float(row["seconds_per_mask"]) > 0
    assert float(rows[0]["value"]) > 0.6
    assert json.loads((finished / "table.json").read_text())[0]["value"] == float(rows[0]["value"])
    text = (finished / "table.md").read_text()
    assert text.count("| chest_xray |") == 3


def test_the_change_by_text_is_paired(finished: Path) -> None:
    without, with_text = rows_of(finished)[1:]
    assert without["text_change"] == ""
    assert float(with_text["text_change"]) == pytest.approx(float(with_text["value"]) - float(without["value"]))
    assert (
        float(with_text["text_change_low"]) <= float(with_text["text_change"]) <= float(with_text["text_change_high"])
    )


def test_cells_hold_what_an_evaluation_writes(finished: Path) -> None:
    folders = sorted(path.name for path in (finished / "cells").iterdir())
    assert folders == [
        "chest_xray-matching-off-off-1shot-seed0",
        "chest_xray-prototype-minilm-off-1shot-seed0",
        "chest_xray-prototype-off-off-1shot-seed0",
    ]
    for name in folders:
        summary = json.loads((finished / "cells" / name / "summary.json").read_text())
        assert (summary["host"], summary["text"]) == tuple(name.split("-")[1:3])
        assert (finished / "cells" / name / "cases.csv").is_file()


def test_figures_show_both_texts(finished: Path) -> None:
    for host, columns in (("matching", 3), ("prototype", 4)):
        with Image.open(finished / "figures" / f"{host}-off-1shot.png") as picture:
            assert picture.width == 200 * columns
            assert np.asarray(picture.convert("RGB")).std() > 20


def test_finished_cells_are_not_run_again(finished: Path, data_root: Path) -> None:
    records = {path: path.stat().st_mtime_ns for path in finished.glob("cells/*/cell.json")}
    half = finished / "cells" / "chest_xray-matching-off-off-1shot-seed0" / "cell.json"
    half.unlink()  # as if the run had been stopped here
    before = rows_of(finished)
    compare(finished, **settings(data_root))
    again = {path for path, time in records.items() if path.stat().st_mtime_ns != time}
    assert again == {half}
    assert [row["value"] for row in rows_of(finished)] == [row["value"] for row in before]


@pytest.mark.parametrize("change", ["option", "checkpoint", "data"])
def test_what_changes_the_result_changes_the_identity(data_root: Path, tmp_path: Path, change: str) -> None:
    def identity(root: Path = data_root, **changes: Any) -> dict[str, Any]:
        given = settings(root, hosts=["prototype"], text=["minilm"], **changes)
        given.pop("feature_cache_dir")
        values = {"refinement": ["off"], "num_shots": [1], "seeds": [0], "ckpt_root": None, "backbone": None}
        (cell,) = plan(**{**values, **given})
        return cell.identity()

    first = identity()
    if change == "option":
        assert identity(options={**OPTIONS, "image_size": 128}) != first
    elif change == "checkpoint":
        path = tmp_path / "prototype-minilm" / "checkpoints" / "best.pt"
        path.parent.mkdir(parents=True)
        torch.save({"a": torch.zeros(1)}, path)
        second = identity(ckpt_root=tmp_path)
        torch.save({"a": torch.ones(1)}, path)
        assert len({str(first), str(second), str(identity(ckpt_root=tmp_path))}) == 3
    else:
        other = tmp_path / "CHEST"
        other.mkdir()
        (other / "images").mkdir()
        assert identity(tmp_path) != first


def test_trained_weights_are_used(data_root: Path, tmp_path: Path) -> None:
    """The host's checkpoint is found by its name, and read: other weights give another result."""
    files = evaluation_files("prototype", "chest_xray", text="minilm")
    folder = str(find_target("chest_xray", data_root).dataset_dir)
    network = start(files, dataset_dir=folder, **OPTIONS).parser.get_parsed_content("network")
    values = []
    for scale in (0.0, 40.0):
        state = {key: value.clone() for key, value in network.state_dict().items()}
        for key, value in state.items():
            if "units" in key and value.is_floating_point():
                value.mul_(scale)
        path = tmp_path / "trained" / "prototype-minilm" / "checkpoints" / "best.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"model": state}, path)
        changes = {"hosts": ["prototype"], "text": ["minilm"], "ckpt_root": tmp_path / "trained"}
        compare(tmp_path / "out", **settings(data_root, **changes, allow_untrained=False))
        values.append(float(rows_of(tmp_path / "out")[0]["value"]))
    assert values[0] != values[1]


def test_missing_weights_name_the_command(tmp_path: Path) -> None:
    assert checkpoint_of("matching", "off", None) is None  # nothing to train
    with pytest.raises(FileNotFoundError, match=r"configs/hosts/ifa\.json.*--output_dir .*ifa-off"):
        checkpoint_of("ifa", "off", tmp_path)
    assert checkpoint_of("ifa", "off", tmp_path, allow_untrained=True) is None


def test_the_command_for_missing_weights_has_files_that_exist(tmp_path: Path) -> None:
    own = tmp_path / "mine" / "own.json"
    own.parent.mkdir()
    shutil.copy(CONFIGS / "hosts" / "ifa.json", own)
    with pytest.raises(FileNotFoundError) as caught:
        checkpoint_of(str(own), "minilm", tmp_path, backbone="efficientnet_lite2")
    words = shlex.split(str(caught.value).partition("allow_untrained): ")[2])
    files = ast.literal_eval(words[words.index("--config_file") + 1])
    assert files == [
        "configs/train.json",
        str(own),
        "configs/data/voc2012.json",
        "configs/backbones/efficientnet_lite2.json",
        "configs/text/minilm.json",
    ]
    assert all((CONFIGS.parent / file).is_file() for file in files)
    assert words[-1] == str(tmp_path / "own-minilm")


@pytest.mark.parametrize("content", [b"no weights", b""])
def test_a_damaged_checkpoint_is_named_before_anything_runs(data_root: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trained" / "prototype-off" / "checkpoints" / "best.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} can't be read as a checkpoint"):
        compare(tmp_path / "out", **settings(data_root, text=["off"], ckpt_root=tmp_path / "trained"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["hosts", "text", "refinement"])
def test_a_broken_overlay_is_named_before_anything_runs(data_root: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "broken.json"
    file.write_text('{"host_name": ')
    with pytest.raises(ValueError, match=f"{kind} overlay {file} is not JSON"):
        compare(tmp_path / "out", **settings(data_root, **{kind: [str(file)]}))
    assert not (tmp_path / "out").exists()


def test_hosts_and_targets_of_one_name_have_cells_and_lines_of_their_own(data_root: Path, tmp_path: Path) -> None:
    for folder in ("CHEST", "chest_xray"):
        shutil.copytree(data_root / "CHEST", tmp_path / "data" / folder)
    own = tmp_path / "mine" / "matching.json"
    own.parent.mkdir()
    shutil.copy(CONFIGS / "hosts" / "matching.json", own)
    changes = {"hosts": ["matching", str(own)], "targets": ["CHEST", "chest_xray"], "text": ["off"]}
    compare(tmp_path / "out", **settings(tmp_path / "data", **changes))
    combinations = {(target, host) for target in ("CHEST", "chest_xray") for host in ("matching", "mine_matching")}
    assert {(row["target"], row["host"]) for row in rows_of(tmp_path / "out")} == combinations
    assert [row["num_masks"] for row in rows_of(tmp_path / "out")] == ["4"] * 4
    cells = {f"{target}-{host}-off-off-1shot-seed0" for target, host in combinations}
    assert {path.name for path in (tmp_path / "out" / "cells").iterdir()} == cells
    figures = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    assert figures == {"matching-off-1shot.png", "mine_matching-off-1shot.png"}


def test_cells_of_another_run_are_not_reported(
    finished: Path, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished, tmp_path / "out")
    before = (tmp_path / "out" / "table.md").read_text()
    victim = tmp_path / "out" / "cells" / "chest_xray-prototype-off-off-1shot-seed0"

    def run_beside_another(cell: Cell, folder: Path, *arguments: Any, **named: Any) -> bool:
        ran = run_cell(cell, folder, *arguments, **named)
        if folder == victim:
            record = json.loads((folder / "cell.json").read_text())
            record["identity"]["options"] = {"image_size": 64}
            (folder / "cell.json").write_text(json.dumps(record))
        return ran

    monkeypatch.setattr("scripts.studies.compare.workflow.run_cell", run_beside_another)
    with pytest.raises(ValueError, match=rf"{victim.name} \(other options\)\. Give every comparison an output_dir"):
        compare(tmp_path / "out", **settings(data_root))
    assert (tmp_path / "out" / "table.md").read_text() == before


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"hosts": []}, ValueError, "hosts must be a list with at least one entry"),
        ({"targets": "CHEST"}, ValueError, "targets must be a list.*'CHEST'"),
        ({"hosts": ["unet"]}, ValueError, "no hosts overlay 'unet'; there are aligned_matching"),
        ({"targets": ["BRATS"]}, ValueError, "unknown target 'BRATS'; there are isic2018"),
        ({"targets": ["ISIC"]}, FileNotFoundError, "none of ISIC in .*which holds CHEST"),
        ({"data_root": "/nowhere"}, FileNotFoundError, "data_root: no folder /nowhere"),
        ({"hosts": ["matching"], "text": ["minilm"]}, ValueError, "'matching' can't hold a text"),
        ({"hosts": ["mine.json"]}, FileNotFoundError, "no hosts overlay mine.json"),
        ({"data_root": None}, ValueError, "data_root is None.*--data_root DATA"),
        ({"num_shots": 5}, ValueError, "num_shots must be a list with at least one entry, got 5"),
        ({"num_shots": [1.5]}, ValueError, r"num_shots has the entry 1\.5, expected whole numbers from 1 on"),
        ({"num_shots": ["a"]}, ValueError, "num_shots has the entry 'a', expected whole numbers"),
        ({"num_shots": [True]}, ValueError, "num_shots has the entry True, expected whole numbers"),
        ({"num_shots": [0]}, ValueError, "num_shots has the entry 0, expected whole numbers from 1 on"),
        ({"num_shots": [1, 1]}, ValueError, "num_shots has 1 and 1, .*leave one out"),
        ({"seeds": [0, -1]}, ValueError, "seeds has the entry -1, expected whole numbers from 0 on"),
        ({"seeds": None}, ValueError, "seeds must be a list with at least one entry, got None"),
        ({"targets": ["CHEST", None]}, ValueError, "targets has the entry None, expected names"),
        ({"hosts": [None]}, ValueError, "hosts has the entry None, expected names"),
        ({"text": [3]}, ValueError, "text has the entry 3, expected names"),
        ({"refinement": [None]}, ValueError, "refinement has the entry None, expected names"),
        ({"backbone": 5}, ValueError, "backbone has the entry 5, expected names"),
        ({"backbone": "vgg"}, ValueError, "no backbones overlay 'vgg'; there are"),
        ({"targets": ["CHEST", "chest_xray"]}, ValueError, "targets 'CHEST' and 'chest_xray' are both .*CHEST"),
        ({"hosts": ["matching", "matching"]}, ValueError, "hosts has 'matching' and 'matching', .*leave one out"),
    ],
)
def test_bad_settings(
    data_root: Path, tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        compare(tmp_path, **settings(data_root, **changes))
    assert not list(tmp_path.iterdir())


def test_overlays_and_targets_by_name(data_root: Path) -> None:
    assert find_target("chest", data_root) == find_target("chest_xray", data_root)
    assert find_overlay("hosts", "ifa").name == "ifa.json"
    assert (has_guidance("ifa"), has_guidance("matching")) == (True, False)
