# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Whether results can be written, tried before the work by really writing beside their places."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .atomic import replace_when_done

__all__ = ["require_writable"]

_TRIAL = 1 << 16  # bytes: a file system that is full refuses them


def require_writable(folder: str | Path, names: Iterable[str] = ("trial",)) -> Path:
    """Write a trial file under every name that will be written to a folder, then remove it.

    Args:
        folder: of the results; missing ones are made for the trial and removed again.
        names: of the files to come; one that exists is left as it is.

    Returns:
        The folder, with ``~`` replaced.

    Raises:
        OSError: naming the file that can't be written and why: no space, a read-only place, a name that is too long, a
            file where a folder should be.
    """
    folder = Path(folder).expanduser()
    missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        _try_names(folder, names)
    finally:
        for place in missing:
            with suppress(OSError):  # another process may use it by now
                place.rmdir()
    return folder


def _try_names(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        target = folder / name
        place = target if not os.path.lexists(target) else target.with_name(f"{target.name[:8]}.trial")
        existed = os.path.lexists(place)
        with replace_when_done(place) as partial:
            partial.write_bytes(os.urandom(_TRIAL))
        if not existed:
            place.unlink(missing_ok=True)
        if os.path.isdir(target):
            raise IsADirectoryError(f"cannot write {target}: a folder has this name; choose another output_dir")
