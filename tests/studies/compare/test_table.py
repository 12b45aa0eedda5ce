# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.studies.compare.table import read_entries, write_tables

IDENTITY: dict[str, Any] = {"code": "1", "seed": 0}


def cell(root: Path, text: str, overlap: list[int], *, episodes: str = "e", **changes: Any) -> Path:
    """A finished cell with a mask of 100 pixels per case."""
    values = {"host": "ifa", "seed": 0, "peak_mib": 3.0, "protocol": "episodes", "seconds": 0.5, **changes}
    folder = root / f"{values['host']}-{text}-{values['seed']}"
    folder.mkdir(parents=True)
    labels = {"target": "isic", "host": values["host"], "text": text, "refinement": "off"}
    record = {"cell": {"labels": labels, "num_shots": 1, "seed": values["seed"]}, "peak_mib": values["peak_mib"]}
    (folder / "cell.json").write_text(json.dumps({**record, "identity": IDENTITY}))
    (folder / "summary.json").write_text(json.dumps({"protocol": values["protocol"], "episode_list_sha256": episodes}))
    tasks = [{"query": ["a"]} if values["protocol"] == "episodes" else {} for _ in overlap]
    (folder / "episode_list.json").write_text(json.dumps({"tasks": tasks}))
    with (folder / "cases.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["class_name", "case_id", "intersection", "union", "seconds"])
        writer.writerows(["nevus", f"I_{n}", each, 100, values["seconds"]] for n, each in enumerate(overlap))
    return folder


def test_a_line_per_combination_with_the_change_by_text(tmp_path: Path) -> None:
    folders = [cell(tmp_path, "off", [40, 60]), cell(tmp_path, "minilm", [50, 80])]
    without, with_text = read_entries(folders)
    assert without.key == ("isic", "ifa", "off", "off", 1)
    assert (without.metric, without.change, without.num_masks) == ("class_miou", None, 2)
    assert without.value["value"] == pytest.approx(0.5)
    assert without.seconds_per_mask == pytest.approx(0.5)
    assert with_text.change is not None
    assert with_text.change["value"] == pytest.approx(0.15)
    low, high = with_text.change["ci95"]
    assert low == pytest.approx(0.1)  # both draws the first case
    assert high == pytest.approx(0.2)


def test_seeds_are_pooled_and_memory_is_the_highest(tmp_path: Path) -> None:
    folders = [cell(tmp_path, "off", [40, 60]), cell(tmp_path, "off", [60, 80], seed=1, peak_mib=5.0)]
    (entry,) = read_entries(folders)
    assert entry.value["value"] == pytest.approx(0.6)
    assert (entry.peak_mib, entry.num_masks) == (5.0, 4)


def test_volumes_are_scored_by_dice_and_may_have_no_memory(tmp_path: Path) -> None:
    (entry,) = read_entries([cell(tmp_path, "off", [50, 50], protocol="propagation", peak_mib=None)])
    assert (entry.metric, entry.peak_mib, entry.num_masks) == ("mean_dice", None, 2)
    assert entry.value["value"] == pytest.approx(2 * 50 / 150)


def test_other_episodes_are_no_counterpart(tmp_path: Path) -> None:
    folders = [cell(tmp_path, "off", [40]), cell(tmp_path, "minilm", [50], episodes="others")]
    with pytest.raises(ValueError, match="not evaluated on the episodes of its counterpart without text"):
        read_entries(folders)


def test_the_files(tmp_path: Path) -> None:
    planned = {cell(tmp_path, text, overlap): IDENTITY for text, overlap in (("off", [40, 60]), ("minilm", [50, 80]))}
    table = write_tables(planned, tmp_path / "out")
    assert table == tmp_path / "out" / "table.md"
    lines = table.read_text().splitlines()
    assert lines[2] == "| isic | ifa | off | off | 1 | class_miou | 50.0 (40.0 to 60.0) |  | 0.500 | 3 |"
    assert "| 65.0 (50.0 to 80.0) | +15.0 (+10.0 to +20.0) |" in lines[3]
    rows = json.loads((tmp_path / "out" / "table.json").read_text())
    assert [row["text"] for row in rows] == ["off", "minilm"]
    with (tmp_path / "out" / "table.csv").open(newline="") as file:
        assert [float(row["value"]) for row in csv.DictReader(file)] == [row["value"] for row in rows]
    assert "### refinement off, 1 shot" in (tmp_path / "out" / "overview.md").read_text()


def test_cells_that_were_not_planned_are_refused(tmp_path: Path) -> None:
    folder = cell(tmp_path, "off", [40])
    with pytest.raises(ValueError, match=rf"{folder.name} \(other code\); none \(not finished\)"):
        write_tables({folder: {**IDENTITY, "code": "2"}, tmp_path / "none": IDENTITY}, tmp_path / "out")
    assert not (tmp_path / "out").exists()
