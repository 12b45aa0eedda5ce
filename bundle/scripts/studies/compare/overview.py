# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A comparison at a glance: hosts down, data sets across, a table for every refinement and number of shots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...apps.reports.report import markdown_table, percent
from .entry import Entry

__all__ = ["overview"]


def overview(entries: Iterable[Entry]) -> str:
    """Lay out lines of a comparison as Markdown.

    A line without text shows the metric in percent with its interval; one with text the metric, and after the comma the
    change by the text with its interval, where the host was evaluated without text too.
    """
    entries = list(entries)
    sections = []
    for refinement, num_shots in dict.fromkeys((entry.key[3], entry.key[4]) for entry in entries):
        chosen = [entry for entry in entries if entry.key[3:] == (refinement, num_shots)]
        sections.append(f"### refinement {refinement}, {num_shots} shot{'s' * (num_shots > 1)}\n\n{_table(chosen)}\n")
    return "\n".join(sections)


def _table(entries: Sequence[Entry]) -> str:
    targets = list(dict.fromkeys(entry.key[0] for entry in entries))
    found = {(entry.key[1], entry.key[2], entry.key[0]): entry for entry in entries}
    lines = []
    for host, text in dict.fromkeys((entry.key[1], entry.key[2]) for entry in entries):
        cells = [found.get((host, text, target)) for target in targets]
        lines.append((host, text, *("" if entry is None else _cell(entry) for entry in cells)))
    return markdown_table(("host", "text", *targets), lines)


def _cell(entry: Entry) -> str:
    if entry.change is None:
        return percent(entry.value)
    return f"{100 * entry.value['value']:.1f}, {percent(entry.change, sign='+')}"
