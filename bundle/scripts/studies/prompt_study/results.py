# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Tables and figure of a prompt study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ...apps.reports.figures import save_figure
from ...apps.reports.report import Report, markdown_table, percent
from ...files.atomic import write_csv, write_json
from ...metrics.bootstrap import Interval
from .wordings import WORDINGS

__all__ = ["write_results"]

_COLUMNS = ("target", "line", "kind", "class", "dice", "change", "change_low", "change_high", "moved")
_COLOURS = {"wording": "#0072B2", "control": "#D55E00"}
_DPI = 150


def write_results(content: Mapping[str, Any], output_dir: Path) -> Path:
    """Write ``prompt_study.json``, ``.csv``, ``.png`` and ``.md``, and return the last.

    Args:
        content: what `prompt_study` found; the JSON file as it is.
        output_dir: folder.
    """
    write_json(output_dir / "prompt_study.json", content)
    write_csv(output_dir / "prompt_study.csv", _rows(content), _COLUMNS)
    picture = _draw(content, output_dir / "prompt_study.png")
    report = Report(output_dir / "prompt_study.md", "Does the text matter?")
    report.text(
        f"Host {content['host']}, trained with text {content['text']}; seed {content['seed']}. Change: Dice minus that "
        "of the full description, on the same cases. Moved: one minus the Dice of the mask with the mask under the "
        "full description. In brackets: 95 % bootstrap intervals over cases, paired for the change. Lines named "
        "“trained” are networks of their own, trained and tested with that control: their change holds the chance of "
        "a training, too."
    )
    report.text(_overview(content["targets"]))
    report.figure(picture, "Change of the mean Dice when the words change, and of networks trained with a control.")
    for name, target in content["targets"].items():
        _add_target(report, name, target)
    return report.write()


def _overview(targets: Mapping[str, Any]) -> str:
    """All targets side by side: mean Dice of the full description, changes of it, grounding score."""
    full = [_points(target["lines"]["full"]["metrics"]["mean_dice"]) for target in targets.values()]
    rows = [["mean Dice of the full description, %", *full]]
    for line in _changed_lines(targets):
        changes = [target["lines"].get(line, {}).get("change", {}).get("mean_dice") for target in targets.values()]
        rows.append([line, *(_points(change, "+", 2) for change in changes)])
    rows.append(["grounding score", *(_points(target["grounding"], "+", 2) for target in targets.values())])
    return markdown_table(["change of it, points", *targets], rows)


def _changed_lines(targets: Mapping[str, Any]) -> list[str]:
    """Names of all lines but the full description: the wordings in their order, then the controls."""
    kinds = {line: scores["kind"] for target in targets.values() for line, scores in target["lines"].items()}
    named = [line for line in WORDINGS if line in kinds] + [line for line in kinds if line not in WORDINGS]
    return sorted((line for line in named if line != "full"), key=lambda line: kinds[line] == "control")


def _add_target(report: Report, name: str, target: Mapping[str, Any]) -> None:
    report.heading(f"{name}: {target['protocol']}, K {target['num_shots']}, {target['num_cases']} cases")
    if target["leaking"]:
        report.text(
            f"**These figures are no test: {', '.join(target['leaking'])} were derived from masks of the test images.**"
        )
    rows = []
    for line, scores in target["lines"].items():
        moved = scores["moved"]["mean_dice"] if "moved" in scores else None
        change = scores["change"]["mean_dice"] if "change" in scores else None
        rows.append([line, _points(scores["metrics"]["mean_dice"]), _points(change, "+", 2), _points(moved, digits=2)])
    rows += [[line, "–", "–", f"– ({reason})"] for line, reason in target["missing"].items()]
    report.text(markdown_table(["text", "mean Dice %", "change, points", "mask moved, %"], rows))
    classes = target["classes"]
    if len(classes) > 1:
        header = ["change of Dice, points", *classes]
        changed = {line: scores["change"] for line, scores in target["lines"].items() if "change" in scores}
        rows = [
            [line, *(_points(own.get(f"dice/{each}"), "+", 2) for each in classes)] for line, own in changed.items()
        ]
        report.text(markdown_table(header, rows))
    score = target["grounding"]
    if score is None:
        report.text("No grounding score: no class has both a paraphrase and words that should matter.")
    else:
        report.text(
            f"Grounding score {_points(score, '+', 2)}: the mask moves by {100 * score['moved_when_it_should']:.2f} % "
            f"when the words say something else, by {100 * score['moved_when_it_should_not']:.2f} % when they say the "
            "same."
        )


def _rows(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for target, found in content["targets"].items():
        for line, scores in found["lines"].items():
            for key, value in scores["metrics"].items():
                if key != "mean_dice" and not key.startswith("dice/"):
                    continue
                change = scores.get("change", {}).get(key)
                moved = scores.get("moved", {}).get(key)
                yield {
                    "target": target,
                    "line": line,
                    "kind": scores["kind"],
                    "class": "mean" if key == "mean_dice" else key.removeprefix("dice/"),
                    "dice": round(value["value"], 6),
                    "change": "" if change is None else round(change["value"], 6),
                    "change_low": "" if change is None else round(change["ci95"][0], 6),
                    "change_high": "" if change is None else round(change["ci95"][1], 6),
                    "moved": "" if moved is None else round(moved["value"], 6),
                }


def _draw(content: Mapping[str, Any], path: Path) -> Path:
    """A panel per target: the change of the mean Dice per line, with its interval."""
    targets = content["targets"]
    names = _changed_lines(targets)
    figure = Figure(figsize=(1.6 + 2.3 * len(targets), 1.2 + 0.27 * len(names)), dpi=_DPI, layout="constrained")
    for axes, (name, target) in zip(
        figure.subplots(1, len(targets), squeeze=False, sharey=True)[0], targets.items(), strict=True
    ):
        axes.axvline(0, color="#999999", lw=0.8)
        for place, line in enumerate(names):
            scores = target["lines"].get(line)
            if scores is None:
                continue
            change = scores["change"]["mean_dice"]
            low, high = change["ci95"]
            axes.plot([100 * low, 100 * high], [place, place], color=_COLOURS[scores["kind"]], lw=1.4)
            axes.plot(100 * change["value"], place, "o", ms=4, color=_COLOURS[scores["kind"]])
        axes.set_title(name, fontsize=9)
        axes.set_yticks(range(len(names)), [line.replace("_", " ") for line in names], fontsize=8)
        axes.tick_params(axis="x", labelsize=8)
        axes.grid(axis="x", color="#E5E5E5", lw=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].invert_yaxis()  # the axes share it
    figure.supxlabel("change of the mean Dice against the full description, points", fontsize=9)
    return save_figure(figure, path)


def _points(interval: Interval | None, sign: str = "", digits: int = 1) -> str:
    return "–" if interval is None else percent(interval, sign, digits=digits)
