# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt prepare``: fetch, verify and describe a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from .options import with_keys
from .run import run_workflow

__all__ = ["prepare"]


@with_keys("prepare", without=("dataset", "dataset_dir"))
def prepare(
    keys: dict[str, Any],
    dataset: Annotated[
        Optional[str], typer.Argument(help="Name of the set; without it the sets are listed.", show_default=False)
    ] = None,
    dataset_dir: Annotated[
        Optional[Path], typer.Argument(help="Its folder, made if missing.", show_default=False)
    ] = None,
) -> None:
    """Fetch what can be fetched of a data set, unpack, verify and describe it.

    Example: segprompt prepare kvasir data/kvasir
    """
    given = {**keys, "dataset": dataset, "dataset_dir": None if dataset_dir is None else str(dataset_dir)}
    run_workflow("prepare", [], given, task=f"prepare {dataset or '(no set named)'}")
