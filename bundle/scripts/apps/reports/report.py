# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A report in Markdown, put together from the files that the workflows wrote: it computes nothing itself."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...files.atomic import write_text
from ...files.read_json import read_json_object
from ...metrics.bootstrap import Interval

__all__ = ["Report", "markdown_table", "percent"]


class Report:
    """Collect sections and write them as one file; paths in it are relative to that file.

    Args:
        path: the Markdown file to write.
        title: its heading.
    """

    def __init__(self, path: str | os.PathLike[str], title: str) -> None:
        self.path = Path(path)
        self._parts = [f"# {title}"]

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"## {text}")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(text.strip())

    def label_table(self, summary_file: str | os.PathLike[str]) -> None:
        """Add a table of one evaluation, a line per label and the mean, from its ``summary.json``."""
        summary = _read_summary(summary_file)
        metrics = summary["metrics"]
        names = [name.removeprefix("dice/") for name in metrics if name.startswith("dice/")]
        with_interval = summary["num_cases"] > 1
        rows = [
            [name, *(percent(metrics[f"{kind}/{name}"], with_interval=with_interval) for kind in ("dice", "iou"))]
            for name in names
        ]
        means = [percent(metrics[name], with_interval=with_interval) for name in ("mean_dice", "class_miou")]
        rows.append(["**mean**", *(f"**{mean}**" for mean in means)])
        self._parts += [markdown_table(["label", "Dice %", "IoU %"], rows), _setting(summary)]

    def comparison_table(self, summary_files: Mapping[str, str | os.PathLike[str]]) -> None:
        """Add a table of several evaluations, a line each: Dice per label, their mean, class mIoU and FB-IoU.

        Args:
            summary_files: name of the line -> its ``summary.json``.
        """
        summaries = {name: _read_summary(file) for name, file in summary_files.items()}
        labels = list(dict.fromkeys(key for each in summaries.values() for key in each["metrics"] if "dice/" in key))
        header = ["", *(f"{label.removeprefix('dice/')} Dice %" for label in labels)]
        header += ["mean Dice %", "class mIoU %", "FB-IoU %", "K", "protocol", "backbone"]
        rows = [
            [
                name,
                *(
                    percent(each["metrics"][key], with_interval=each["num_cases"] > 1)
                    if key in each["metrics"]
                    else "–"
                    for key in (*labels, "mean_dice", "class_miou", "fb_iou")
                ),
                *(str(each.get(key, "–")) for key in ("num_shots", "protocol", "backbone")),
            ]
            for name, each in summaries.items()
        ]
        self._parts.append(markdown_table(header, rows))

    def slices_to_check(
        self, slices_file: str | os.PathLike[str], *, labels: Mapping[int, str], number: int = 5
    ) -> None:
        """Add the slices of a result with the lowest confidence, from its ``<stem>_slices.csv``."""
        with Path(slices_file).open(newline="") as file:
            found = [row for row in csv.DictReader(file) if row["confidence"]]
        found.sort(key=lambda row: float(row["confidence"]))
        rows = [
            [
                row["slice"],
                labels.get(int(float(row["label"])), row["label"]),
                row["area"],
                f"{float(row['confidence']):.2f}",
            ]
            for row in found[:number]
        ]
        self._parts.append(markdown_table(["slice", "label", "area", "confidence"], rows))

    def expected_dice(self, labels_file: str | os.PathLike[str], *, labels: Mapping[int, str]) -> None:
        """Add the Dice that a result expects of its labels, from its `<stem>_labels.csv`."""
        with Path(labels_file).open(newline="") as file:
            rows = [
                [
                    labels.get(int(row["label"]), row["label"]),
                    row["voxels"],
                    f"{100 * float(row['predicted_dice']):.0f}",
                ]
                for row in csv.DictReader(file)
            ]
        self._parts.append(markdown_table(["label", "voxels", "expected Dice %"], rows))

    def figure(self, path: str | os.PathLike[str], caption: str) -> None:
        """Add a picture with its caption."""
        self._parts.append(f"![{caption}]({self._relative(path)})\n\n*{caption}*")

    def files(self, files: Mapping[str | os.PathLike[str], str]) -> None:
        """Add a list of files, each with its size and what it is; a file that isn't there is an error.

        Raises:
            FileNotFoundError: naming the first one missing.
        """
        rows = []
        for path, meaning in files.items():
            if not Path(path).exists():
                raise FileNotFoundError(f"the report {self.path} lists {path}, which was not written")
            rows.append([f"[{self._relative(path)}]({self._relative(path)})", _size(Path(path)), meaning])
        self._parts.append(markdown_table(["file", "size", "what it is"], rows))

    def write(self) -> Path:
        """Write the file and return its path."""
        return write_text(self.path, "\n\n".join(self._parts) + "\n")

    def _relative(self, path: str | os.PathLike[str]) -> str:
        return Path(os.path.relpath(path, self.path.parent)).as_posix()


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table: the first column to the left, the others to the right unless they hold words."""
    rows = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]

    def is_number(column: int) -> bool:
        return column > 0 and all(row[column].strip("*")[:1].isdigit() or row[column] == "–" for row in rows)

    rule = ["---:" if is_number(column) else "---" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(line)} |" for line in [list(header), rule, *rows])


def percent(interval: Interval, sign: str = "", *, digits: int = 1, with_interval: bool = True) -> str:
    """Write a fraction in percent, with its 95 % interval or without.

    Args:
        interval: the fraction and its interval.
        sign: as in a format specification.
        digits: after the decimal point.
        with_interval: whether the interval is written behind it.
    """
    value, low, high = (f"{100 * number:{sign}.{digits}f}" for number in (interval["value"], *interval["ci95"]))
    return f"{value} ({low} to {high})" if with_interval else value


def _read_summary(path: str | os.PathLike[str]) -> dict[str, Any]:
    content = read_json_object(path)
    missing = {"metrics", "num_cases"} - set(content)
    if missing:
        raise ValueError(f"{path} is no summary of an evaluation: it has no {', '.join(sorted(missing))}")
    return content


def _setting(summary: Mapping[str, Any]) -> str:
    told = {
        "host": summary.get("host"),
        "backbone": summary.get("backbone"),
        "text": summary.get("text"),
        "protocol": summary.get("protocol"),
        "K": summary.get("num_shots"),
        "cases": summary["num_cases"],
    }
    sentence = ", ".join(f"{name} {value}" for name, value in told.items() if value not in (None, ""))
    if summary["num_cases"] > 1:
        return f"{sentence}. In brackets: 95 % bootstrap intervals over cases."
    return f"{sentence}. One case, so there is no interval over cases."


def _size(path: Path) -> str:
    if path.is_dir():
        return "folder"
    size = path.stat().st_size
    if size < 2**10:
        return f"{size} B"
    return f"{size / 2**10:.1f} KiB" if size < 2**20 else f"{size / 2**20:.1f} MiB"
