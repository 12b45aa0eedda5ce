# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the studies of one trained network share: its weights by a pattern, its targets, and an evaluation of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle.workflows import ConfigWorkflow

from ...apps.startup.assembly import Target, evaluation_files, find_target, has_guidance, start

__all__ = ["checkpoint_of", "find_targets", "open_target", "require_text"]


def require_text(study: str, host: str, text: str) -> None:
    """Refuse, by a ValueError, a host that takes no text or a text overlay without one."""
    if text == "off" or not has_guidance(host):
        raise ValueError(f"{study} needs a host that takes text and a text overlay; got {host!r} with {text!r}")


def find_targets(study: str, targets: Sequence[str] | str, data_root: str | Path) -> dict[str, Target]:
    """Name of each target, as it was given -> data overlay and folder.

    Raises:
        ValueError: without targets, or for one that there isn't.
        FileNotFoundError: for a missing folder.
    """
    names = [targets] if isinstance(targets, str) else list(targets)
    if not names:
        raise ValueError(f"{study} needs targets, such as ['chaos_mr', 'isic2018']")
    return {name: find_target(name, data_root) for name in names}


def checkpoint_of(pattern: str | None, host: str, text: str, **further: object) -> Path:
    """Fill host, text and whatever else into the path of a checkpoint.

    Raises:
        ValueError: when no path is given.
        FileNotFoundError: when there is no such file.
    """
    if not pattern:
        raise ValueError(
            "checkpoint: the study needs trained weights, such as output/training/{host}-{text}/checkpoints/best.pt"
        )
    path = Path(pattern.format(host=Path(host).stem, text=Path(text).stem, **further)).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint: no weights {path} of {host} with text {text!r}; train them first")
    return path


def open_target(target: Target, host: str, text: str, checkpoint: Path, given: Mapping[str, Any]) -> ConfigWorkflow:
    """An evaluation of a host with a text on a target, ready to be asked.

    Args:
        target: data overlay and folder.
        host: its overlay.
        text: the text overlay.
        checkpoint: the weights.
        given: further values of the evaluation; ``backbone`` is the name of an overlay.
    """
    values = {"dataset_dir": str(target.dataset_dir), "checkpoint": str(checkpoint), **given}
    values["network_from_checkpoint"] = False  # a study may vary what the network was trained with, such as alpha
    files = evaluation_files(host, target.overlay, text=text, backbone=values.pop("backbone", None))
    return start(files, **values)
