# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest

from scripts.metrics import CaseRow, CaseTable, OverlapCounts
from scripts.studies.prompt_study.lines import Line
from scripts.studies.prompt_study.scores import grounding, line_scores


def table(**dice: tuple[int, int]) -> CaseTable:
    """Cases of one class: intersection and union of 100 pixels."""
    return CaseTable(CaseRow("liver", case, OverlapCounts(*counts, 100)) for case, counts in dice.items())


def line(name: str, cases: CaseTable, agreement: CaseTable | None = None, kind: str = "wording") -> Line:
    return Line(name, None, {}, kind, cases=cases, agreement=agreement or CaseTable())


FULL = line("full", table(a=(50, 50), b=(20, 40)))


def test_change_and_movement() -> None:
    other = line("other", table(a=(25, 50), b=(20, 40)), table(a=(25, 50), b=(40, 40)))
    found = line_scores(other, FULL, num_resamples=200)
    assert found["metrics"]["mean_dice"]["value"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert found["change"]["mean_dice"]["value"] == pytest.approx((2 / 3 - 1) / 2)
    assert found["change"]["mean_dice"]["ci95"] == pytest.approx([-1 / 3, 0])
    assert found["moved"]["mean_dice"]["value"] == pytest.approx((1 / 3 + 0) / 2)
    assert found["moved"]["mean_dice"]["ci95"] == pytest.approx([0, 1 / 3])
    assert set(found["moved"]) == {"mean_dice", "dice/liver"}


def test_a_line_of_fewer_cases_is_compared_on_these() -> None:
    found = line_scores(line("other", table(b=(20, 40)), table(b=(40, 40))), FULL, num_resamples=50)
    assert found["change"]["mean_dice"] == {"value": 0.0, "ci95": [0.0, 0.0]}


def test_the_reference_has_no_change_and_a_control_no_movement() -> None:
    assert set(line_scores(FULL, FULL, num_resamples=20)) == {"metrics"}
    control = line("off", table(a=(50, 50), b=(20, 40)), kind="control")
    assert set(line_scores(control, FULL, num_resamples=20)) == {"metrics", "change"}


def lines(wrong: tuple[int, int], same: tuple[int, int], **further: tuple[int, int]) -> dict[str, Line]:
    values = {"wrong_class": wrong, "paraphrase": same, **further}
    return {name: line(name, CaseTable(), table(a=counts, b=counts)) for name, counts in values.items()}


def test_grounding_is_movement_that_should_be_minus_movement_that_should_not() -> None:
    found = grounding(lines(wrong=(25, 50), same=(45, 50)), num_resamples=50)
    assert found is not None
    assert found["moved_when_it_should"] == pytest.approx(1 / 3)
    assert found["moved_when_it_should_not"] == pytest.approx(1 - 90 / 95)
    assert found["value"] == pytest.approx(1 / 3 - 1 + 90 / 95)
    assert found["ci95"] == pytest.approx([found["value"]] * 2)
    both = grounding(lines(wrong=(25, 50), same=(50, 50), opposite=(50, 50)), num_resamples=50)
    assert both is not None
    assert both["moved_when_it_should"] == pytest.approx(1 - 150 / 175)  # pixels of both changes together


def test_a_network_that_any_change_upsets_alike_is_not_grounded() -> None:
    found = grounding(lines(wrong=(10, 50), same=(10, 50)), num_resamples=50)
    assert found is not None
    assert found["value"] == 0


def test_no_grounding_without_both_sides() -> None:
    own = lines(wrong=(25, 50), same=(45, 50))
    assert grounding({"paraphrase": own["paraphrase"]}) is None
    assert grounding({"wrong_class": own["wrong_class"]}) is None
    other = line("paraphrase", CaseTable(), CaseTable([CaseRow("spleen", "a", OverlapCounts(1, 1, 9))]))
    assert grounding({"wrong_class": own["wrong_class"], "paraphrase": other}) is None
