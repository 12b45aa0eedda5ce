# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scripts.studies.prompt_study.results import write_results


def interval(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "ci95": [low, high]}


def target(**changes: Any) -> dict[str, Any]:
    full = {
        "kind": "wording",
        "sentences": {"liver": ["A photo of liver."]},
        "metrics": {"mean_dice": interval(0.5, 0.4, 0.6), "dice/liver": interval(0.5, 0.4, 0.6)},
    }
    control = {**full, "kind": "control", "change": {"mean_dice": interval(-0.031, -0.05, -0.02)}}
    wrong = {
        **full,
        "change": {"mean_dice": interval(0.01, -0.02, 0.03), "dice/liver": interval(0.01, -0.02, 0.03)},
        "moved": {"mean_dice": interval(0.125, 0.1, 0.2), "dice/liver": interval(0.125, 0.1, 0.2)},
    }
    return {
        "protocol": "episodes",
        "num_shots": 1,
        "episode_list_sha256": "0",
        "num_cases": 7,
        "classes": ["liver", "spleen"],
        "leaking": [],
        "missing": {"paraphrase": "none there"},
        "lines": {"full": full, "wrong_class": wrong, "trained: off": control},
        "grounding": {**interval(0.1, 0.05, 0.2), "moved_when_it_should": 0.125, "moved_when_it_should_not": 0.025},
        **changes,
    }


@pytest.fixture
def written(tmp_path: Path) -> Path:
    other = target(classes=["lung"], grounding=None, leaking=["12 sentences of single images"])
    content = {"host": "ifa", "text": "minilm", "seed": 0, "targets": {"chaos_mr": target(), "chest_xray": other}}
    assert write_results(content, tmp_path / "out") == tmp_path / "out" / "prompt_study.md"
    assert json.loads((tmp_path / "out" / "prompt_study.json").read_text()) == content
    return tmp_path / "out"


def test_report(written: Path) -> None:
    text = (written / "prompt_study.md").read_text()
    assert "| mean Dice of the full description, % | 50.0 (40.0 to 60.0) | 50.0 (40.0 to 60.0) |" in text
    assert "| trained: off | -3.10 (-5.00 to -2.00) | -3.10 (-5.00 to -2.00) |" in text
    assert "| grounding score | +10.00 (+5.00 to +20.00) | – |" in text
    assert "## chaos_mr: episodes, K 1, 7 cases" in text
    assert "| full | 50.0 (40.0 to 60.0) | – | – |" in text
    assert "| wrong_class | 50.0 (40.0 to 60.0) | +1.00 (-2.00 to +3.00) | 12.50 (10.00 to 20.00) |" in text
    assert "| trained: off | 50.0 (40.0 to 60.0) | -3.10 (-5.00 to -2.00) | – |" in text
    assert "| paraphrase | – | – | – (none there) |" in text
    assert "| wrong_class | +1.00 (-2.00 to +3.00) | – |" in text  # per class; the spleen has none
    assert "Grounding score +10.00 (+5.00 to +20.00): the mask moves by 12.50 %" in text
    assert "by 2.50 % when they say the same." in text
    assert "No grounding score" in text
    first, second = text.split("## chest_xray")
    assert "no test" not in first
    assert "These figures are no test: 12 sentences of single images were derived from masks" in second


def test_wordings_come_in_their_order_before_the_controls(tmp_path: Path) -> None:
    first, second = target(), target()
    second["lines"]["name_only"] = second["lines"]["wrong_class"]
    second["lines"]["own_image"] = second["lines"]["wrong_class"]
    content = {"host": "ifa", "text": "minilm", "seed": 0, "targets": {"a": first, "b": second}}
    text = write_results(content, tmp_path).read_text()
    rows = [line.split(" | ")[0].strip("| ") for line in text.split("![")[0].splitlines() if line.startswith("| ")]
    assert rows[3:7] == ["name_only", "wrong_class", "own_image", "trained: off"]


def test_table_and_figure(written: Path) -> None:
    with (written / "prompt_study.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = [row for row in rows if row["target"] == "chaos_mr" and row["line"] == "wrong_class"]
    assert [row["class"] for row in chosen] == ["mean", "liver"]
    assert (chosen[0]["dice"], chosen[0]["change"], chosen[0]["change_low"]) == ("0.5", "0.01", "-0.02")
    assert chosen[0]["moved"] == "0.125"
    assert rows[0]["change"] == ""
    with Image.open(written / "prompt_study.png") as picture:
        assert picture.width > picture.height > 100
