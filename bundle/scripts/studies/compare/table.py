# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Cells of a comparison as one table: figures with intervals, and what the text changes on the same episodes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...apps.reports.report import markdown_table, percent
from ...files.atomic import write_csv, write_json, write_text
from ...files.read_json import read_json_object
from ...metrics.segmentation import CaseRow, OverlapCounts
from .cell import Labels, read_record
from .entry import KEYS, Entry
from .overview import overview
from .pooled_seeds import paired_difference, summarise_seeds

__all__ = ["read_entries", "write_tables"]

_OF_VOLUMES = ("labelled_chunks", "all_slices", "propagation")


def write_tables(planned: Mapping[Path, Mapping[str, Any]], output_dir: Path) -> Path:
    """Write ``table.csv``, ``table.json``, ``overview.md`` and ``table.md`` of finished cells; return the last.

    Args:
        planned: folder of a cell -> its identity, as planned.
        output_dir: gets the files.

    Raises:
        ValueError: for cells that are not the planned ones: another run wrote into the same folder.
    """
    _refuse_others(planned)
    entries = read_entries(planned)
    rows = [entry.row() for entry in entries]
    write_csv(output_dir / "table.csv", rows, tuple(rows[0]))
    write_json(output_dir / "table.json", rows)
    write_text(output_dir / "overview.md", overview(entries))
    return write_text(output_dir / "table.md", _markdown(entries))


def read_entries(folders: Iterable[Path]) -> list[Entry]:
    """Read the lines of finished cells.

    Raises:
        ValueError: when a text and its counterpart without were not evaluated on the same episodes.
    """
    groups: dict[tuple[str, str, str, str, int], list[_Result]] = {}
    for folder in folders:
        result = _Result(folder)
        groups.setdefault(result.key, []).append(result)
    entries = []
    for key, results in groups.items():
        rows = {result.seed: result.rows for result in results}
        metric = results[0].metric
        change = None
        without = groups.get((*key[:2], "off", *key[3:]))
        if key[2] != "off" and without is not None:
            if [result.episodes for result in results] != [result.episodes for result in without]:
                raise ValueError(f"{key} was not evaluated on the episodes of its counterpart without text")
            change = paired_difference(rows, {result.seed: result.rows for result in without}, metric)
        masks = sum(result.num_masks for result in results)
        peaks = [result.peak_mib for result in results if result.peak_mib is not None]
        seconds = sum(row.seconds for result in results for row in result.rows) / max(1, masks)
        value = summarise_seeds(rows, metric)
        entries.append(Entry(key, metric, value, change, seconds, max(peaks) if peaks else None, masks))
    return entries


def _refuse_others(planned: Mapping[Path, Mapping[str, Any]]) -> None:
    problems = []
    for folder, expected in planned.items():
        record = read_record(folder)
        found = (record or {}).get("identity", {})
        if record is None:
            problems.append(f"{folder.name} (not finished)")
        elif found != expected:
            differing = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
            problems.append(f"{folder.name} (other {', '.join(differing)})")
    if problems:
        raise ValueError(
            f"{next(iter(planned)).parent} holds cells that are not those of this comparison, as another run writes "
            f"there: {'; '.join(problems)}. Give every comparison an output_dir of its own, or run this one again "
            "when the other has ended"
        )


class _Result:
    """What a cell left behind."""

    def __init__(self, folder: Path) -> None:
        record = read_json_object(folder / "cell.json")
        summary = read_json_object(folder / "summary.json")
        cell = record["cell"]
        self.key = (*Labels(**cell["labels"]), cell["num_shots"])
        self.seed: int = cell["seed"]
        self.peak_mib: float | None = record["peak_mib"]
        self.metric = "mean_dice" if summary["protocol"] in _OF_VOLUMES else "class_miou"
        self.episodes: str = summary["episode_list_sha256"]
        tasks = read_json_object(folder / "episode_list.json")["tasks"]
        self.num_masks = sum(len(task.get("query", ("volume",))) for task in tasks)
        with (folder / "cases.csv").open(newline="") as file:
            self.rows = [_case_row(line) for line in csv.DictReader(file)]


def _case_row(line: dict[str, str]) -> CaseRow:
    counts = OverlapCounts(int(line["intersection"]), int(line["union"]), int(line["union"]))
    return CaseRow(line["class_name"], line["case_id"], counts, seconds=float(line["seconds"]))


def _markdown(entries: Iterable[Entry]) -> str:
    header = (*KEYS, "metric", "% (95 % interval)", "change by text (95 % interval)", "s per mask", "MiB")
    lines = []
    for entry in entries:
        memory = "" if entry.peak_mib is None else f"{entry.peak_mib:.0f}"
        change = "" if entry.change is None else percent(entry.change, sign="+")
        lines.append(
            (*map(str, entry.key), entry.metric, percent(entry.value), change, f"{entry.seconds_per_mask:.3f}", memory)
        )
    note = (
        "Time after the backbone, whose features are cached; memory beyond weights and features, of the first task. "
        "The interval of a change that does not contain 0 is evidence on these cases, not on others.\n"
    )
    return markdown_table(header, lines) + "\n" + note
