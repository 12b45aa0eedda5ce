# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Run one of the bundle's workflows from a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..apps.startup.errors import UsageError, cause_of
from .progress import bars_as_lines
from .workflows import OVERLAYS, WORKFLOWS, overlays_of, workflow_files

__all__ = ["overlay_file", "run_workflow", "say"]


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def overlay_file(kind: str, name: str) -> Path:
    """The file of an overlay.

    Args:
        kind: a key of :data:`~.workflows.OVERLAYS`.
        name: its name, or the path of a .json file.

    Raises:
        UsageError: when there is none; it lists those there are.
    """
    if name.endswith(".json"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UsageError(f"no file {path}: expected one of the {kind}, or the path of a .json file")
        return path
    there = [overlay.name for overlay in overlays_of(kind)]
    if name not in there:
        raise UsageError(f"no {name!r} among the {kind}: there are {', '.join(there)} (or the path of a .json file)")
    from ..files.bundle_root import CONFIGS

    return CONFIGS / OVERLAYS[kind] / f"{name}.json"


def run_workflow(workflow: str, overlays: Sequence[Path], keys: Mapping[str, Any], *, task: str) -> None:
    """Run a workflow as ``python -m monai.bundle run`` does, under the name of this package.

    Args:
        workflow: name in :data:`~.workflows.WORKFLOWS`.
        overlays: files over the workflow's own.
        keys: values over both.
        task: what runs, for the first line.
    """
    bars_as_lines()
    import torch

    from ..version import version

    device = keys.get("device") or ("cuda:0" if torch.cuda.is_available() else "cpu")
    device = str(device).removeprefix("$torch.device(").rstrip(")").strip("'\"")
    say(f"segprompt {version()}: {task} on {device}" + (f", {torch.get_num_threads()} threads" * (device == "cpu")))

    from ..apps.startup.assembly import start
    from ..apps.startup.config_check import UNKNOWN_IDS

    files = [str(path) for path in (*workflow_files(workflow), *overlays)]
    given = {name: "$None" if value is None else value for name, value in keys.items()}
    try:
        running = start(files, run_id=WORKFLOWS[workflow].run_id, **given)
    except Exception as error:
        cause = cause_of(error)
        if str(cause).startswith(UNKNOWN_IDS):
            raise UsageError(str(cause)) from error
        raise
    running.run()
    running.finalize()
