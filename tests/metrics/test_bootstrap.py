# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
import numpy as np
import pytest

from scripts.metrics import CaseRow, OverlapCounts, iou_score, paired_differences, summarise


def random_rows(seed: int, num_cases: int = 12, quality: float = 0.5) -> list[CaseRow]:
    generator = np.random.default_rng(seed)
    rows = []
    for case in range(num_cases):
        for name in ("liver", "spleen")[: 1 + case % 2]:
            union = int(generator.integers(50, 100))
            rows.append(
                CaseRow(name, str(case), OverlapCounts(int(union * quality * generator.uniform(0.5, 1)), union, 400))
            )
    return rows


def test_the_same_seed_gives_the_same_interval_whatever_the_order_of_the_rows():
    rows = random_rows(1)
    first = summarise(rows, seed=3)
    assert summarise(rows[::-1], seed=3) == first
    assert summarise(rows, seed=4) != first
    assert all(low <= each["value"] <= high for each in first.values() for low, high in [each["ci95"]])


def test_pooled_iou_interval_equals_a_plain_loop():
    rows = [row for row in random_rows(2) if row.class_name == "liver"]
    generator = np.random.default_rng(7)
    ious = []
    for drawn in generator.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=500):
        chosen = [row for row, times in zip(rows, drawn, strict=True) for _ in range(times)]
        ious.append(float(iou_score(sum(r.counts.intersection for r in chosen), sum(r.counts.union for r in chosen))))
    interval = summarise(rows, num_resamples=500, seed=7)["iou/liver"]
    assert interval["ci95"] == pytest.approx(np.percentile(ious, [2.5, 97.5]).tolist())


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    # mean Dice of 30 cases whose Dice is 0.5 or 1 with equal chance: the truth is 0.75
    hits = 0
    for seed in range(200):
        coins = np.random.default_rng(seed).integers(0, 2, size=30)
        rows = [CaseRow("a", str(i), OverlapCounts(1 + coin, 3 - coin, 9)) for i, coin in enumerate(coins)]
        low, high = summarise(rows, num_resamples=500, seed=seed)["mean_dice"]["ci95"]
        hits += low <= 0.75 <= high
    assert 178 <= hits <= 198


def test_identical_cases_and_a_single_case_have_no_width():
    same = [CaseRow("a", str(case), OverlapCounts(1, 2, 4)) for case in range(5)]
    for rows in (same, same[:1]):
        assert summarise(rows)["class_miou"] == {"value": 0.5, "ci95": [0.5, 0.5]}


def test_a_class_in_one_of_many_cases_still_gets_an_interval():
    rows = [CaseRow("common", str(case), OverlapCounts(1, 2, 9)) for case in range(20)]
    rows.append(CaseRow("rare", "0", OverlapCounts(3, 4, 9)))
    result = summarise(rows, num_resamples=50)
    assert result["iou/rare"] == {"value": 0.75, "ci95": [0.75, 0.75]}
    assert result["class_miou"]["ci95"] == [0.5, 0.625]


def test_paired_differences_are_tighter_than_unpaired():
    worse = random_rows(5)
    better = [
        CaseRow(row.class_name, row.case_id, row.counts._replace(intersection=row.counts.intersection + 5))
        for row in worse
    ]
    difference = paired_differences(better, worse, seed=1)
    mine, theirs = summarise(better, seed=1), summarise(worse, seed=1)
    for name in ("mean_dice", "class_miou"):
        assert difference[name]["value"] == pytest.approx(mine[name]["value"] - theirs[name]["value"])
        low, high = difference[name]["ci95"]
        assert 0 < low <= difference[name]["value"] <= high
        assert high - low < (mine[name]["ci95"][1] - mine[name]["ci95"][0]) / 2
    assert paired_differences(worse, worse)["mean_dice"] == {"value": 0.0, "ci95": [0.0, 0.0]}


def test_a_paired_comparison_on_other_cases_is_refused():
    rows = random_rows(1)
    with pytest.raises(ValueError, match="only in one of the two: liver in case 0"):
        paired_differences(rows, rows[1:])


def test_number_of_resamples_is_checked():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        summarise(random_rows(1), num_resamples=0)
