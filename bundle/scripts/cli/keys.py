# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt keys``: what a workflow can be told."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .workflows import WORKFLOWS, keys_of, overlay_keys

__all__ = ["show_keys"]

Subject = Enum("Subject", {name: name for name in (*WORKFLOWS, "overlays")}, type=str)  # type: ignore[misc]


def show_keys(
    workflow: Annotated[Subject, typer.Argument(help="Workflow, or overlays for the keys that they bring.")],
) -> None:
    """Show the keys of a workflow: name, default, meaning."""
    table = Table(box=None, pad_edge=False)
    table.add_column("key", style="bold", no_wrap=True)
    if workflow.value == "overlays":
        table.add_column("overlays", overflow="fold")
        table.add_column("meaning", overflow="fold")
        for name, (overlays, meaning) in overlay_keys().items():
            table.add_row(name, ", ".join(overlays), meaning)
    else:
        table.add_column("default", overflow="fold")
        table.add_column("meaning", overflow="fold")
        for key in keys_of(workflow.value):
            table.add_row(key.name, key.shown_default, key.meaning)
    Console(highlight=False, markup=False).print(table)
