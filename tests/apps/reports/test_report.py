# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
import json

import pytest

from scripts.apps.reports.report import Report, markdown_table
from scripts.files.atomic import write_csv, write_json

INTERVALS = "In brackets: 95 % bootstrap intervals over cases."


def summary(folder, name: str, dice: dict[str, float], num_cases: int = 9, **extra):
    def interval(value):
        return {"value": value, "ci95": [value - 0.1, value + 0.1]}

    mean = sum(dice.values()) / len(dice)
    metrics = {"mean_dice": mean, "class_miou": mean - 0.2, "fb_iou": mean - 0.1}
    metrics |= {f"dice/{label}": value for label, value in dice.items()}
    metrics |= {f"iou/{label}": value - 0.2 for label, value in dice.items()}
    content = {
        "host": "matching", "backbone": "efficientnet_lite2", "text": "off", "protocol": "propagation", "num_shots": 1,
        "num_cases": num_cases, "metrics": {key: interval(value) for key, value in metrics.items()},
    }  # fmt: skip
    return write_json(folder / name / "summary.json", content | extra)


def test_a_whole_report(tmp_path):
    evaluation = summary(tmp_path, "evaluation", {"liver": 0.9, "spleen": 0.8})
    slices = write_csv(
        tmp_path / "inference" / "1_slices.csv",
        [
            {"slice": number, "label": 1 + number % 2, "area": 10 * number, "confidence": 1 - number / 10}
            for number in range(6)
        ],
    )
    picture = tmp_path / "inference" / "overlay.png"
    picture.write_bytes(b"x" * 3000)
    report = Report(tmp_path / "report.md", "Quickstart")
    report.text("  What was done.\n")
    report.heading("Result")
    report.label_table(evaluation)
    report.slices_to_check(slices, labels={1: "liver", 2: "spleen"}, number=2)
    report.figure(picture, "Four slices")
    report.files({evaluation: "figures", picture: "the picture above", tmp_path / "inference": "all results"})
    assert report.write() == tmp_path / "report.md"
    assert (
        (tmp_path / "report.md").read_text()
        == f"""# Quickstart

What was done.

## Result

| label | Dice % | IoU % |
| --- | ---: | ---: |
| liver | 90.0 (80.0 to 100.0) | 70.0 (60.0 to 80.0) |
| spleen | 80.0 (70.0 to 90.0) | 60.0 (50.0 to 70.0) |
| **mean** | **85.0 (75.0 to 95.0)** | **65.0 (55.0 to 75.0)** |

host matching, backbone efficientnet_lite2, text off, protocol propagation, K 1, cases 9. {INTERVALS}

| slice | label | area | confidence |
| --- | --- | ---: | ---: |
| 5 | spleen | 50 | 0.50 |
| 4 | liver | 40 | 0.60 |

![Four slices](inference/overlay.png)

*Four slices*

| file | size | what it is |
| --- | --- | --- |
| [evaluation/summary.json](evaluation/summary.json) | {evaluation.stat().st_size / 1024:.1f} KiB | figures |
| [inference/overlay.png](inference/overlay.png) | 2.9 KiB | the picture above |
| [inference](inference) | folder | all results |
"""
    )


def test_one_case_has_no_interval(tmp_path):
    report = Report(tmp_path / "report.md", "One")
    report.label_table(summary(tmp_path, "a", {"liver": 0.9}, num_cases=1))
    text = report.write().read_text()
    assert "| liver | 90.0 | 70.0 |" in text
    assert "One case, so there is no interval" in text


def test_a_comparison_has_a_line_per_evaluation(tmp_path):
    report = Report(tmp_path / "report.md", "Hosts")
    report.comparison_table(
        {
            "matching": summary(tmp_path, "a", {"liver": 0.9, "spleen": 0.8}),
            "ifa": summary(tmp_path, "b", {"liver": 0.5}, num_cases=1, num_shots=5),
        }
    )
    lines = report.write().read_text().splitlines()
    assert lines[2].startswith(
        "|  | liver Dice % | spleen Dice % | mean Dice % | class mIoU % | FB-IoU % | K | protocol |"
    )
    assert lines[4].startswith("| matching | 90.0 (80.0 to 100.0) | 80.0 (70.0 to 90.0) | 85.0 (75.0 to 95.0) | 65.0")
    assert lines[5] == "| ifa | 50.0 | – | 50.0 | 30.0 | 40.0 | 5 | propagation | efficientnet_lite2 |"


def test_a_file_that_was_not_written_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lists .*none.csv, which was not written"):
        Report(tmp_path / "report.md", "x").files({tmp_path / "none.csv": "cases"})


def test_another_json_is_no_summary(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"metrics": {}}))
    with pytest.raises(ValueError, match=r"a.json is no summary of an evaluation: it has no num_cases"):
        Report(tmp_path / "report.md", "x").label_table(tmp_path / "a.json")


def test_cells_cannot_break_a_table():
    assert markdown_table(["a", "b"], [["x|y", "1"]]) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 |"
