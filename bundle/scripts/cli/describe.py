# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt describe``: ask a language model for a sentence per class."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import with_keys
from .run import run_workflow

__all__ = ["describe"]


@with_keys("describe", without=("dataset_name",))
def describe(
    keys: dict[str, Any],
    dataset_name: Annotated[str, typer.Argument(help="Name of the data set; it names the written file, too.")],
) -> None:
    """Ask a language model for a sentence per class, and check it.

    Example: segprompt describe kidneys --class_names "left kidney,right kidney" --subject "abdominal MR"
    """
    keys.setdefault("output_file", f"prompts/{dataset_name}.json")
    run_workflow("describe", [], {**keys, "dataset_name": dataset_name}, task=f"describe the classes of {dataset_name}")
