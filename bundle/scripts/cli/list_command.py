# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt list``: the choices that ship."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .workflows import OVERLAYS, overlays_of

__all__ = ["list_overlays"]

Kind = Enum("Kind", {name: name for name in OVERLAYS}, type=str)  # type: ignore[misc]


def list_overlays(kind: Annotated[Kind, typer.Argument(help="What to list.")]) -> None:
    """List the shipped choices of a kind, a line each."""
    overlays = overlays_of(kind.value)
    table = Table(box=None, pad_edge=False)
    table.add_column("name", style="bold", no_wrap=True)
    has_weights = any(overlay.trains is not None for overlay in overlays)
    if has_weights:
        table.add_column("trains")
        table.add_column("takes text")
    table.add_column("what it is", overflow="fold")
    for overlay in overlays:
        row = [overlay.name]
        if has_weights:
            row += ["yes" if answer else "no" for answer in (overlay.trains, overlay.takes_text)]
        table.add_row(*row, overlay.about)
    Console(highlight=False).print(table)
