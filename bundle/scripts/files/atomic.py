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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # most files hold no tensors, and torch takes a second to import
    from torch import Tensor

__all__ = [
    "naming_target",
    "partial_path",
    "remove_partial_files",
    "replace_when_done",
    "write_bytes",
    "write_csv",
    "write_json",
    "write_tensors",
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
    work on it. Missing folders are made. The file gets the permissions of any new file, whatever the writer gave it.

    Raises:
        OSError: naming ``path``; where the disk (or quota) is full it says so.
    """
    target = Path(path)
    partial = partial_path(target)
    try:
        with naming_target(partial, target):
            target.parent.mkdir(parents=True, exist_ok=True)
            usual_mode = _mode_of_a_new_file(partial)
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            if partial.stat().st_mode != usual_mode:  # safetensors, for one, lets no one else read its files
                partial.chmod(usual_mode)
            os.replace(partial, target)
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
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return write_bytes(path, buffer.getbuffer())


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> Path:
    """Write named tensors (contiguous, on the CPU) as safetensors, whole or not at all.

    They are serialised in memory first, for the same reason as in `write_torch`.
    """
    from safetensors.torch import save

    return write_bytes(path, save(dict(tensors), metadata=None if metadata is None else dict(metadata)))


def remove_partial_files(path: str | os.PathLike[str]) -> None:
    """Remove what killed writers of ``path`` left beside it; to be called where no other process writes ``path``."""
    target = Path(path)
    for partial in target.parent.glob(f"{_PARTIAL}*-{target.name}"):
        partial.unlink(missing_ok=True)


def partial_path(target: Path) -> Path:
    """A new name beside ``target``, for a file or folder that takes its place when it is whole.

    Where the target's name is near the file system's limit the partial one keeps only its end.
    """
    start = f"{_PARTIAL}{secrets.token_hex(4)}-"
    name = target.name
    while len(os.fsencode(start + name)) > _LONGEST_NAME >= len(os.fsencode(target.name)):
        name = name[1:]
    return target.with_name(start + name)


@contextmanager
def naming_target(partial: Path, target: Path) -> Iterator[None]:
    """Tell an error of a write with the name that the user knows; one about a file elsewhere stays as it is."""
    try:
        yield
    except OSError as error:
        named = None if error.filename is None else Path(os.fsdecode(error.filename))
        if named is not None and named not in (target, target.parent) and not named.is_relative_to(partial):
            raise  # about another file, which was read meanwhile
        raise _clear_error(error, target) from error


def _clear_error(error: OSError, target: Path) -> OSError:
    if error.errno in _NO_SPACE:
        message = (
            f"no space left to write {target}; nothing was written (free space on that disk, or choose another folder)"
        )
    else:
        message = f"cannot write {target}: {error.strerror or error}; nothing was written"
    return type(error)(error.errno or errno.EIO, message)


def _mode_of_a_new_file(path: Path) -> int:
    """Type and permissions that a new file gets, by the process's umask and the folder's defaults."""
    path.touch(exist_ok=False)
    mode = path.stat().st_mode
    path.unlink()
    return mode
