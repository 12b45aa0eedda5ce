# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What an evaluation's summary says about the weights and the parts that it ran with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypedDict

from ..files.digest import file_digest
from .weights import read_checkpoint

__all__ = ["CheckpointRecord", "checkpoint_record", "experiment_hash", "name_of"]


class CheckpointRecord(TypedDict):
    """A checkpoint, told apart from all others."""

    file: str
    """its name, with the folders ``<training>/checkpoints`` where it lies in such a one."""
    sha256: str
    """of the file."""


def checkpoint_record(path: str | os.PathLike[str] | None) -> CheckpointRecord | None:
    """Say which checkpoint a file is; None without one."""
    if path is None:
        return None
    file = Path(path).expanduser()
    parts = file.absolute().parts[-3 if file.absolute().parent.name == "checkpoints" else -1 :]
    return {"file": "/".join(parts), "sha256": file_digest(file)}


def experiment_hash(path: str | os.PathLike[str] | None) -> str | None:
    """Read which training a checkpoint is of; None without one, for weights alone, or of an earlier version."""
    found = None if path is None else read_checkpoint(path).get("experiment_sha256")
    return found if isinstance(found, str) else None


def name_of(part: object | None) -> str:
    """Name of an optional part's class, such as ``ColourCut``; ``off`` without one."""
    return "off" if part is None else type(part).__name__
