# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt train``: a host on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from .choices import BackboneOption, DataOption, OverlayOption, RecipeOption, TextOption, chosen
from .options import with_keys
from .run import run_workflow

__all__ = ["train"]


@with_keys("training", without=("dataset_dir",))
def train(
    keys: dict[str, Any],
    host: Annotated[str, typer.Argument(help="Host to train (segprompt list hosts).")],
    dataset_dir: Annotated[
        Optional[Path],
        typer.Argument(help="Folder of the data set; the synthetic pictures if there is none.", show_default=False),
    ] = None,
    data: DataOption = None,
    text: TextOption = None,
    backbone: BackboneOption = None,
    recipe: RecipeOption = None,
    overlay: OverlayOption = None,
) -> None:
    """Train a host; its checkpoints are checkpoints/best.pt and last.pt in the output folder.

    Example: segprompt train ifa VOC2012 --text minilm
    """
    overlays, name = chosen(
        dataset_dir, data, {"hosts": host, "text": text, "backbones": backbone, "recipes": recipe}, overlay
    )
    if dataset_dir is not None:
        keys["dataset_dir"] = str(dataset_dir)
    run_workflow("training", overlays, keys, task=f"train {Path(host).stem} on {name}")
