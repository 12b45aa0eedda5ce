# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt evaluate``: a host, a data set, a protocol; one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from .choices import AdaptationOption, BackboneOption, DataOption, OverlayOption, RefinementOption, TextOption, chosen
from .options import with_keys
from .run import run_workflow

__all__ = ["evaluate"]


@with_keys("evaluating", without=("dataset_dir",))
def evaluate(
    keys: dict[str, Any],
    dataset_dir: Annotated[
        Optional[Path],
        typer.Argument(help="Folder of the data set; the synthetic pictures if there is none.", show_default=False),
    ] = None,
    host: Annotated[str, typer.Option(help="Host to evaluate (segprompt list hosts).", metavar="HOST")] = "ifa",
    data: DataOption = None,
    text: TextOption = None,
    backbone: BackboneOption = None,
    refinement: RefinementOption = None,
    adaptation: AdaptationOption = None,
    overlay: OverlayOption = None,
) -> None:
    """Evaluate a host on a data set: cases.csv, summary.json, episode_list.json.

    Example: segprompt evaluate --host matching --data chaos_mr CHAOS
    """
    overlays, name = chosen(
        dataset_dir,
        data,
        {"hosts": host, "text": text, "backbones": backbone, "refinements": refinement, "adaptations": adaptation},
        overlay,
    )
    if dataset_dir is not None:
        keys["dataset_dir"] = str(dataset_dir)
    run_workflow("evaluating", overlays, keys, task=f"evaluate {Path(host).stem} on {name}")
