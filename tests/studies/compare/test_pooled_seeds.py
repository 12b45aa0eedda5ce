# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A case stays one case under however many seeds: intervals don't shrink with seeds alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from scripts.metrics.bootstrap import paired_differences, summarise
from scripts.metrics.segmentation import CaseRow, OverlapCounts
from scripts.studies.compare.pooled_seeds import paired_difference, summarise_seeds
from scripts.studies.compare.table import read_entries


def rows(seed: int, gain: int = 0) -> list[CaseRow]:
    random = np.random.default_rng(seed)
    return [
        CaseRow(name, f"C_{case}", OverlapCounts(int(random.integers(10, 80)) + gain, 100, 100))
        for case in range(12)
        for name in ("lung", "heart")
    ]


@pytest.mark.parametrize("metric", ["class_miou", "mean_dice"])
def test_one_seed_gives_the_interval_of_the_bootstrap(metric: str) -> None:
    # the order of cases decides which replicate draws which: that of the names
    assert summarise_seeds({3: rows(0)}, metric)["value"] == summarise(rows(0))[metric]["value"]
    named = [CaseRow(row.class_name, f"{row.case_id} (seed 3)", row.counts) for row in rows(0)]
    assert summarise_seeds({3: rows(0)}, metric) == summarise(named)[metric]
    more = [CaseRow(row.class_name, f"{row.case_id} (seed 3)", row.counts) for row in rows(1, 5)]
    assert paired_difference({3: rows(1, 5)}, {3: rows(0)}, metric) == paired_differences(more, named)[metric]


@pytest.mark.parametrize("metric", ["class_miou", "mean_dice"])
def test_the_same_result_under_more_seeds_is_no_more_evidence(metric: str) -> None:
    one, three = {0: rows(0)}, {seed: rows(0) for seed in range(3)}
    assert summarise_seeds(three, metric)["ci95"] == pytest.approx(summarise_seeds(one, metric)["ci95"], abs=1e-9)
    others, other = {seed: rows(1) for seed in range(3)}, {0: rows(1)}
    expected = paired_difference(one, other, metric)
    assert paired_difference(three, others, metric)["ci95"] == pytest.approx(expected["ci95"], abs=1e-9)


def test_a_figure_counts_every_seed_of_a_case() -> None:
    seeds = {seed: [CaseRow("lung", "a", OverlapCounts(count, 100, 100))] for seed, count in ((0, 50), (1, 100))}
    assert summarise_seeds(seeds, "class_miou")["value"] == pytest.approx(150 / 200)
    assert summarise_seeds(seeds, "mean_dice")["value"] == pytest.approx((100 / 150 + 1) / 2)
    with pytest.raises(ValueError, match=r"only in one of the two: lung in case a \(seed 1\)"):
        paired_difference(seeds, {0: seeds[0]}, "class_miou")


def write_cell(folder: Path, text: str, seed: int, lines: list[CaseRow]) -> Path:
    folder.mkdir()
    labels = {"target": "chest_xray", "host": "ifa", "text": text, "refinement": "off"}
    record = {"cell": {"labels": labels, "num_shots": 1, "seed": seed}, "peak_mib": 1.0}
    (folder / "cell.json").write_text(json.dumps(record))
    (folder / "summary.json").write_text(json.dumps({"protocol": "episodes", "episode_list_sha256": str(seed)}))
    (folder / "episode_list.json").write_text(json.dumps({"tasks": [{"query": ["a"]}]}))
    with (folder / "cases.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("class_name", "case_id", "intersection", "union", "seconds"))
        writer.writerows((row.class_name, row.case_id, *row.counts[:2], 0.5) for row in lines)
    return folder


def test_the_table_draws_cases_with_all_their_seeds(tmp_path: Path) -> None:
    folders = {
        (text, seed): write_cell(tmp_path / f"{text}{seed}", text, seed, rows(text == "minilm"))
        for text in ("off", "minilm")
        for seed in (0, 1)
    }
    one = read_entries([folders["off", 0], folders["minilm", 0]])
    both = read_entries(list(folders.values()))
    for single, pooled in zip(one, both, strict=True):
        assert pooled.value["ci95"] == pytest.approx(single.value["ci95"], abs=1e-9)
    assert one[1].change is not None
    assert both[1].change is not None
    assert both[1].change["ci95"] == pytest.approx(one[1].change["ci95"], abs=1e-9)
