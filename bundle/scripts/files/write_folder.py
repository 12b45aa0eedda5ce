# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A folder that is either whole or absent."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["write_file", "write_folder"]


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a draft beside the folder and rename it; several processes may try, with equal contents.

    Args:
        folder: must not exist, or be a leftover that `fill` may replace.
        fill: writes all files into the folder it is given.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fill(draft)
        draft.chmod(0o755)
        try:
            draft.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
            for path in sorted(path for path in draft.rglob("*") if path.is_file()):
                target = folder / path.relative_to(draft)  # another process was first, or files are missing
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
    except OSError as error:
        _raise_named(error, draft, folder)
        raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a draft beside the path, then rename it; on an error nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    draft = Path(name)
    try:
        write(draft)
        draft.chmod(0o644)
        draft.replace(path)
    except OSError as error:
        _raise_named(error, draft, path)
        raise
    finally:
        draft.unlink(missing_ok=True)


def _raise_named(error: OSError, draft: Path, target: Path) -> None:
    """Raise the error of a write with the name that the user knows; one about a file elsewhere stays as it is."""
    elsewhere = error.filename is not None and not str(error.filename).startswith((str(draft), str(target)))
    if error.errno is not None and not elsewhere:
        raise type(error)(error.errno, f"cannot write {target}: {error.strerror}; nothing was written") from error
