# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a change of words does: to the Dice, and to the mask itself.

A mask's movement is one minus its Dice with the mask under the full description. The grounding score is the movement
under words that should matter (another class, the opposite) minus the movement under words that should not (a
paraphrase), from -1 to 1. A network that ignores its text has 0, and so has one that any change of words upsets alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...metrics import CaseRow, CaseTable, paired_differences, summarise
from .lines import Line

__all__ = ["grounding", "line_scores"]

_MATTERS = ("wrong_class", "opposite")
_NO_MATTER = "paraphrase"


def line_scores(line: Line, reference: Line, *, seed: int = 0, num_resamples: int = 2000) -> dict[str, Any]:
    """Figures of a line, and how it differs from the reference on the cases that both have.

    Returns:
        ``metrics`` as in an evaluation's summary; ``change``, the same names, line minus reference, with paired
        bootstrap intervals; and ``moved``, the movement of the mask, for wordings of the studied network.
    """
    options = {"seed": seed, "num_resamples": num_resamples}
    result: dict[str, Any] = {"metrics": summarise(line.cases.rows, **options)}
    if line is reference:
        return result
    result["change"] = paired_differences(line.cases.rows, _shared(reference.cases, line.cases), **options)
    if line.kind == "wording":
        agreement = summarise(line.agreement.rows, **options)
        result["moved"] = {
            name: {"value": 1 - each["value"], "ci95": [1 - bound for bound in reversed(each["ci95"])]}
            for name, each in agreement.items()
            if name == "mean_dice" or name.startswith("dice/")
        }
    return result


def grounding(lines: Mapping[str, Line], *, seed: int = 0, num_resamples: int = 2000) -> dict[str, Any] | None:
    """The grounding score with its interval, or None where there is no paraphrase or nothing that should matter.

    Args:
        lines: wording -> its line.
        seed: of the bootstrap.
        num_resamples: bootstrap replicates.
    """
    changed = CaseTable(row for name in _MATTERS if name in lines for row in lines[name].agreement.rows)
    if _NO_MATTER not in lines:
        return None
    same = _shared(lines[_NO_MATTER].agreement, changed)
    matters = _shared(changed, lines[_NO_MATTER].agreement)
    if not same:
        return None
    # agreement is one minus movement, so the differences are the other way round
    score = paired_differences(same, matters, seed=seed, num_resamples=num_resamples)["mean_dice"]
    moved = [1 - summarise(rows, num_resamples=1)["mean_dice"]["value"] for rows in (matters, same)]
    return {**score, "moved_when_it_should": moved[0], "moved_when_it_should_not": moved[1]}


def _shared(table: CaseTable, other: CaseTable) -> list[CaseRow]:
    """Rows of a table whose class and case the other has, too."""
    pairs = _pairs(other.rows)
    return [row for row in table.rows if (row.class_name, row.case_id) in pairs]


def _pairs(rows: Iterable[CaseRow]) -> set[tuple[str, str]]:
    return {(row.class_name, row.case_id) for row in rows}
