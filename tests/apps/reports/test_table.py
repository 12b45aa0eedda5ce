# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One table of several evaluations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.apps.reports.table import main


def _evaluation(folder: Path, dice: float, sha: str = "abc123") -> str:
    folder.mkdir()
    metrics = {
        name: {"value": dice, "ci95": [dice - 0.1, dice + 0.1]}
        for name in ("dice/liver", "iou/liver", "mean_dice", "class_miou", "fb_iou")
    }
    summary = {
        "dataset": "chaos_mr", "protocol": "labelled_chunks", "num_shots": 1, "backbone": "efficientnet_lite2",
        "episode_list_sha256": sha, "num_cases": 9, "metrics": metrics,
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    return str(folder)


def test_lines_and_intervals(tmp_path: Path) -> None:
    first, second = _evaluation(tmp_path / "a", 0.5), _evaluation(tmp_path / "b", 0.75)
    text = main([f"matching={first}", f"ifa={second}", "--output", str(tmp_path / "t.md")]).read_text()
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| matching", "| ifa"]
    assert "50.0 (40.0 to 60.0)" in lines[2]
    assert "75.0 (65.0 to 85.0)" in lines[3]
    assert "over 9 cases" in text


def test_other_episodes_are_not_compared(tmp_path: Path) -> None:
    first, second = _evaluation(tmp_path / "a", 0.5), _evaluation(tmp_path / "b", 0.75, sha="def")
    with pytest.raises(ValueError, match="episode_list_sha256 differs"):
        main([f"a={first}", f"b={second}", "--output", str(tmp_path / "t.md")])
    assert not (tmp_path / "t.md").exists()


def test_missing_folder_and_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        main([f"a={tmp_path / 'nowhere'}"])
    with pytest.raises(SystemExit):
        main(["unnamed"])
