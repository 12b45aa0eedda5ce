# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Writing a file beside its place and renaming it when it is whole.

A reader (or a training that resumes) sees the old file or the new one, never half of one: not after an exception, a
full disk or a SIGKILL. The temporary file lies in the folder of its target, because a rename is only atomic within
one file system.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

__all__ = [
    "remove_partial_files",
    "replace_when_done",
    "write_bytes",
    "write_csv",
    "write_json",
    "write_text",
    "write_torch",
]

_PARTIAL = ".partial-"
_LONGEST_NAME = 255  # bytes
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replace_when_done(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` when the block ends, remove it when the block fails.

    The temporary name ends in the name of the target, so that writers which choose the format by suffix (``.nii.gz``)
    work on it. Missing folders are made.

    Raises:
        OSError: naming ``path``; where the disk (or quota) is full it says so.
    """
    target = Path(path)
    partial = _partial_path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
    except OSError as error:
        if error.filename is not None and Path(error.filename) not in (partial, target, target.parent):
            raise  # about another file, which the block read
        raise _clear_error(error, target) from error
    finally:
        with suppress(OSError):  # nothing to remove after the rename, or where the folder can't be used
            partial.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], content: bytes | memoryview) -> Path:
    """Write ``content`` to ``path``, whole or not at all."""
    with replace_when_done(path) as partial, partial.open("wb") as file:
        file.write(content)
    return Path(path)


def write_text(path: str | os.PathLike[str], content: str) -> Path:
    """Write ``content`` to ``path`` as UTF-8, whole or not at all."""
    return write_bytes(path, content.encode("utf-8"))


def write_json(path: str | os.PathLike[str], content: Any) -> Path:
    """Write ``content`` as indented JSON; NaN and infinity, which JSON lacks, are refused with a ValueError."""
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(
    path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None
) -> Path:
    """Write ``rows`` to ``path`` as CSV with a header.

    Args:
        path: target file.
        rows: one mapping per line.
        columns: names and order of the columns; default: the keys of the first row. Keys outside ``columns`` are left
            out.
    """
    rows = list(rows)
    names = list(columns) if columns is not None else list(rows[0]) if rows else []
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, fieldnames=names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return write_text(path, buffer.getvalue())


def write_torch(path: str | os.PathLike[str], content: Any) -> Path:
    """Write ``content`` with ``torch.save``, whole or not at all.

    It is serialised in memory first: ``torch.save`` onto a full disk ends in a RuntimeError without a cause.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return write_bytes(path, buffer.getbuffer())


def remove_partial_files(path: str | os.PathLike[str]) -> None:
    """Remove what killed writers of ``path`` left beside it; to be called where no other process writes ``path``."""
    target = Path(path)
    for partial in target.parent.glob(f"{_PARTIAL}*-{target.name}"):
        partial.unlink(missing_ok=True)


def _partial_path(target: Path) -> Path:
    """Beside the target; where its name is near the file system's limit the partial one keeps only its end."""
    start = f"{_PARTIAL}{secrets.token_hex(4)}-"
    name = target.name
    while len(os.fsencode(start + name)) > _LONGEST_NAME >= len(os.fsencode(target.name)):
        name = name[1:]
    return target.with_name(start + name)


def _clear_error(error: OSError, target: Path) -> OSError:
    if error.errno in _NO_SPACE:
        message = (
            f"no space left to write {target}; nothing was written (free space on that disk, or choose another folder)"
        )
    else:
        message = f"cannot write {target}: {error.strerror or error}; nothing was written"
    return type(error)(error.errno or errno.EIO, message)
