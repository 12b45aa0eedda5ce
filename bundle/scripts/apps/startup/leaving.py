# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The end of a process that imported MONAI."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io

__all__ = ["leave_quickly"]

_BUFFERED = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


def leave_quickly() -> None:
    """Let the process end without searching all its objects for garbage.

    MONAI with what it imports makes some 700,000 objects; Python looks through them several times while it ends, which
    takes seconds and frees nothing that the end of the process doesn't. What is still open is written out; threads are
    joined and whatever is registered with ``atexit`` runs, as always. Objects that nothing has closed are not told of
    the end (``__del__``).
    """
    atexit.unregister(_leave)
    atexit.register(_leave)


def _leave() -> None:
    for each in gc.get_objects():
        if type(each) in _BUFFERED and not each.closed:
            with contextlib.suppress(OSError, ValueError):  # a broken pipe, a file that is read only
                each.flush()
    gc.freeze()
