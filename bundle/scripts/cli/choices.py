# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Overlays that commands choose by options: ``--data``, ``--text``, ``--backbone`` and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer

from ..apps.startup.errors import UsageError
from .run import overlay_file
from .workflows import overlays_of

__all__ = [
    "AdaptationOption",
    "BackboneOption",
    "DataOption",
    "OverlayOption",
    "RecipeOption",
    "RefinementOption",
    "TextOption",
    "chosen",
]

_PANEL = "Choices"


def _complete(kind: str, incomplete: str) -> list[str]:
    return [overlay.name for overlay in overlays_of(kind) if overlay.name.startswith(incomplete)]


DataOption = Annotated[
    Optional[str],
    typer.Option(
        help="Data set (segprompt list data). Without it, its folder's name tells.",
        metavar="NAME",
        rich_help_panel=_PANEL,
        autocompletion=lambda incomplete: _complete("data", incomplete),
        show_default=False,
    ),
]
TextOption = Annotated[
    Optional[str],
    typer.Option(
        help="Text encoder that guides the host (segprompt list text); off by default.",
        metavar="NAME",
        rich_help_panel=_PANEL,
        autocompletion=lambda incomplete: _complete("text", incomplete),
        show_default=False,
    ),
]
BackboneOption = Annotated[
    Optional[str],
    typer.Option(
        help="Backbone (segprompt list backbones); efficientnet_lite2 by default.",
        metavar="NAME",
        rich_help_panel=_PANEL,
        autocompletion=lambda incomplete: _complete("backbones", incomplete),
        show_default=False,
    ),
]
RefinementOption = Annotated[
    Optional[str],
    typer.Option(
        help="Refinement behind the host (segprompt list refinements); off by default.",
        metavar="NAME",
        rich_help_panel=_PANEL,
        autocompletion=lambda incomplete: _complete("refinements", incomplete),
        show_default=False,
    ),
]
AdaptationOption = Annotated[
    Optional[str],
    typer.Option(
        help="Adaptation of the host to the supports (segprompt list adaptations); off by default.",
        metavar="NAME",
        rich_help_panel=_PANEL,
        autocompletion=lambda incomplete: _complete("adaptations", incomplete),
        show_default=False,
    ),
]
RecipeOption = Annotated[
    Optional[str],
    typer.Option(
        help="Training recipe (segprompt list recipes).",
        metavar="NAME",
        rich_help_panel=_PANEL,
        autocompletion=lambda incomplete: _complete("recipes", incomplete),
        show_default=False,
    ),
]
OverlayOption = Annotated[
    Optional[list[Path]],
    typer.Option(
        help="Further configuration file, over all others; may be given again.",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]


def chosen(
    dataset_dir: Path | None, data: str | None, names: Mapping[str, str | None], further: Sequence[Path] | None
) -> tuple[list[Path], str]:
    """The overlays that a command's options name, and the data set's name.

    Args:
        dataset_dir: folder of the data set.
        data: data overlay; None takes the one that the folder's name tells, or synthetic without a folder.
        names: kind of overlay (a key of :data:`~.workflows.OVERLAYS`) -> name, path of a .json file, or None.
        further: files over all of them.

    Raises:
        UsageError: for a name or file that isn't there, or a folder whose name tells nothing.
    """
    if data is None:
        data = "synthetic" if dataset_dir is None else _data_of(dataset_dir)
    chosen_names = {"data": data, **names}
    files = [overlay_file(kind, name) for kind, name in chosen_names.items() if name is not None]
    return [*files, *(further or [])], Path(data).stem


def _data_of(folder: Path) -> str:
    """The data overlay of a folder that has one of the names that its set is known by."""
    from ..apps.startup.assembly import TARGETS  # imports MONAI, which the run needs anyway

    name = folder.expanduser().absolute().name.lower()
    for overlay, folders in TARGETS.items():
        if name == overlay or name in (each.lower() for each in folders):
            return overlay
    there = ", ".join(overlay.name for overlay in overlays_of("data"))
    raise UsageError(
        f"the folder's name {folder.name!r} doesn't tell which data set it is: add --data NAME, one of {there}"
    )
