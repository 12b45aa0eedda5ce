# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
import numpy as np
import pytest
import torch

from scripts.metrics import CaseArrays, CaseRow, CaseTable, OverlapCounts, count_overlap, dice_score, figures, iou_score


def row(class_name: str, case_id: str, intersection: int, union: int, pixels: int = 100, **extra) -> CaseRow:
    return CaseRow(class_name, case_id, OverlapCounts(intersection, union, pixels), **extra)


def values(rows) -> dict[str, float]:
    return {name: float(value[0]) for name, value in figures(CaseArrays.from_rows(rows)).items()}


def test_counts_by_hand_on_tensors_and_arrays():
    pred = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 1]]).bool()
    label = torch.tensor([[1, 0, 1, 0], [255, 1, 0, 255]])
    # counted: six pixels; both: (0,0); either: (0,0), (0,1), (0,2), (1,1)
    assert count_overlap(pred, label) == OverlapCounts(1, 4, 6)
    assert count_overlap(pred.numpy(), label.numpy()) == OverlapCounts(1, 4, 6)
    assert count_overlap(pred, label.float()) == OverlapCounts(1, 4, 6)


def test_another_foreground_value():
    assert count_overlap(torch.tensor([True, True, False]), torch.tensor([63, 1, 63]), foreground=63) == (1, 3, 3)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(1, 2\) and label \(2, 1\)"):
        count_overlap(torch.zeros(1, 2).bool(), torch.zeros(2, 1))


@pytest.mark.parametrize(
    ("intersection", "union", "dice", "iou"),
    [(1, 4, 0.4, 0.25), (4, 4, 1.0, 1.0), (0, 5, 0.0, 0.0), (0, 0, 1.0, 1.0)],
)
def test_scores(intersection, union, dice, iou):
    assert float(dice_score(intersection, union)) == dice
    assert float(iou_score(intersection, union)) == iou


def test_slices_of_a_case_are_pooled_before_its_dice():
    table = CaseTable([row("liver", "1", 90, 100, support_ids=("2:10",), seconds=1.0)])
    table.add(row("liver", "1", 0, 10, support_ids=("2:20",), seconds=0.5))
    table.add(row("liver", "1", 0, 0, support_ids=("2:10",)))
    (pooled,) = table.rows
    assert pooled == row("liver", "1", 90, 110, 300, support_ids=("2:10", "2:20"), seconds=1.5)
    assert pooled.dice == pytest.approx(180 / 200)
    assert pooled.iou == pytest.approx(90 / 110)


def test_rows_come_by_class_and_case_number():
    table = CaseTable(row(name, case, 1, 2) for name in ("spleen", "liver") for case in ("10", "2", "b", "a"))
    assert [(each.class_name, each.case_id) for each in table.rows] == [
        (name, case) for name in ("liver", "spleen") for case in ("2", "10", "a", "b")
    ]


def test_figures_by_hand():
    # class a: cases 1 (I 1, U 4) and 2 (I 6, U 6); class b: case 1 alone (I 0, U 10); 100 pixels each
    result = values([row("a", "1", 1, 4), row("a", "2", 6, 6), row("b", "1", 0, 10)])
    assert result["iou/a"] == pytest.approx(7 / 10)
    assert result["iou/b"] == 0
    assert result["class_miou"] == pytest.approx(0.35)
    assert result["dice/a"] == pytest.approx((2 / 5 + 1) / 2)
    assert result["dice/b"] == 0
    assert result["mean_dice"] == pytest.approx(0.35)
    # foreground 7 / 20; background (300 - 20) / (300 - 7)
    assert result["fb_iou"] == pytest.approx((7 / 20 + 280 / 293) / 2)
    assert set(result) == {"mean_dice", "class_miou", "fb_iou", "dice/a", "dice/b", "iou/a", "iou/b"}


def test_mean_dice_weighs_organs_equally_whatever_their_number_of_volumes():
    rows = [row("liver", str(case), 10, 10) for case in range(9)] + [row("spleen", "0", 0, 10)]
    assert values(rows)["mean_dice"] == pytest.approx(0.5)


def test_weights_count_cases_several_times():
    rows = [row("a", "1", 1, 4), row("a", "2", 6, 6), row("b", "1", 3, 10)]
    cases = CaseArrays.from_rows(rows)
    drawn = figures(cases, np.array([[2.0, 0.0], [0.0, 2.0]]))
    assert drawn["iou/a"].tolist() == pytest.approx([0.25, 1.0])
    assert drawn["iou/b"][0] == pytest.approx(0.3)
    assert np.isnan(drawn["iou/b"][1])
    assert drawn["class_miou"].tolist() == pytest.approx([0.275, 1.0])


def test_no_case_is_an_error():
    with pytest.raises(ValueError, match="no case was evaluated"):
        CaseArrays.from_rows([])
