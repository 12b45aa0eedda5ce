# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The configuration that evaluates a calling expression.

MONAI hands no parser to expressions and components, so functions that read the configuration as a whole (checks,
the identity of a training, what a checkpoint brings along) look up on the call stack which one called them.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import NamedTuple

from monai.bundle import ConfigParser, ConfigWorkflow

__all__ = ["RunningConfig", "running_config"]

_ROOTS = ("initialize", "run", "finalize")


class RunningConfig(NamedTuple):
    """A configuration that is being evaluated."""

    parser: ConfigParser
    """its parser."""
    folder: Path | None
    """folder of its first file; None for a bare parser."""
    roots: tuple[str, ...]
    """ids that the run evaluates."""


def running_config(caller: str) -> RunningConfig:
    """Find what evaluates the calling expression: a workflow (command line, Python API), or else a parser.

    Args:
        caller: name of the function that asks, for the message.

    Raises:
        RuntimeError: when no configuration is running.
    """
    found = None
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, ConfigWorkflow):
            return RunningConfig(owner.parser, owner.config_root_path, (owner.init_id, owner.run_id, owner.final_id))
        if found is None and isinstance(owner, ConfigParser):
            found = RunningConfig(owner, None, _ROOTS)
        frame = frame.f_back
    if found is None:
        raise RuntimeError(f"{caller} reads the configuration that calls it: put it into `initialize`")
    return found
