# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt compare`` and ``segprompt table``: many evaluations side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..apps.startup.errors import UsageError
from .options import with_keys
from .run import run_workflow, say

__all__ = ["compare", "table"]


@with_keys("compare", without=("data_root",))
def compare(
    keys: dict[str, Any],
    data_root: Annotated[Path, typer.Argument(help="Folder with a sub-folder per data set.")],
) -> None:
    """Compare hosts with and without text and refinement on several data sets: one table and figures.

    Example: segprompt compare DATA --hosts matching,ifa --targets chaos_mr,wbc
    """
    run_workflow("compare", [], {**keys, "data_root": str(data_root)}, task=f"compare on {data_root}")


def table(
    evaluations: Annotated[
        list[str],
        typer.Argument(help="Lines of the table: name and the evaluation's folder.", metavar="NAME=FOLDER ..."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Markdown file to write.")] = Path("table.md"),
) -> None:
    """One table of several evaluations of the same episode list.

    Example: segprompt table matching=output/a ifa=output/b -o table.md
    """
    unnamed = [each for each in evaluations if "=" not in each]
    if unnamed:
        raise UsageError(f"give a name to {unnamed[0]!r}: NAME=FOLDER")
    from ..apps.reports.table import write_table

    path = write_table(dict(each.split("=", 1) for each in evaluations), output)
    say(path.read_text(encoding="utf-8"))
    say(f"wrote {path}")
