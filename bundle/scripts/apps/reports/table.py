# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One table of several evaluations.

python -m scripts.apps.reports.table matching=output/a ifa=output/b --output table.md      (from the bundle's folder)
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...files.read_json import read_json_object
from .report import Report

__all__ = ["main", "write_table"]

_SAME = ("dataset", "protocol", "episode_list_sha256")


def main(arguments: Sequence[str] | None = None) -> Path:
    """Read the arguments, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("evaluations", nargs="+", metavar="NAME=FOLDER", help="line of the table and its output_dir")
    parser.add_argument("--output", type=Path, default=Path("table.md"), help="Markdown file to write")
    given = parser.parse_args(arguments)
    unnamed = [each for each in given.evaluations if "=" not in each]
    if unnamed:
        parser.error(f"give a name to {unnamed[0]!r}: NAME=FOLDER")
    path = write_table(dict(each.split("=", 1) for each in given.evaluations), given.output)
    print(path.read_text(encoding="utf-8"))
    return path


def write_table(evaluations: Mapping[str, str | Path], path: str | Path) -> Path:
    """Write a Markdown table with a line per evaluation.

    Args:
        evaluations: name of the line -> the evaluation's ``output_dir``.
        path: target file.

    Returns:
        The written file.

    Raises:
        FileNotFoundError: when a folder has no ``summary.json``.
        ValueError: when the evaluations are not of the same episode list: their figures could not be compared.
    """
    files = {name: Path(folder) / "summary.json" for name, folder in evaluations.items()}
    missing = [str(file) for file in files.values() if not file.is_file()]
    if missing:
        raise FileNotFoundError(f"no evaluation result {missing[0]}")
    summaries = {name: read_json_object(file) for name, file in files.items()}
    for key in _SAME:
        values = {name: summary.get(key) for name, summary in summaries.items()}
        if len(set(values.values())) > 1:
            raise ValueError(f"these evaluations can't be compared, their {key} differs: {values}")
    first = next(iter(summaries.values()))
    report = Report(path, f"{first['dataset']}, {first['protocol']}")
    report.comparison_table(files)
    report.text(
        f"In brackets: 95 % bootstrap intervals over {first['num_cases']} cases. "
        f"Episode list {first['episode_list_sha256'][:12]}, the same for every line."
    )
    return report.write()


if __name__ == "__main__":
    main()
