# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A folder that is either whole or absent."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from .atomic import naming_target, partial_path

__all__ = ["write_folder"]


def write_folder(folder: Path, fill: Callable[[Path], object]) -> None:
    """Fill a draft beside the folder and rename it; several processes may try, with equal contents.

    Args:
        folder: must not exist, or be a leftover that `fill` may replace.
        fill: writes all files into the folder it is given.

    Raises:
        OSError: naming ``folder``; where the disk (or quota) is full it says so.
    """
    draft = partial_path(folder)
    try:
        with naming_target(draft, folder):
            draft.mkdir(parents=True)
            fill(draft)
            try:
                draft.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
                for path in sorted(path for path in draft.rglob("*") if path.is_file()):
                    target = folder / path.relative_to(draft)  # another process was first, or files are missing
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
