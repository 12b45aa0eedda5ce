# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""How far a segmentation is, told to whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "stage_progress"]

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total)."""


def stage_progress(progress: Progress | None, stage: str) -> Callable[[int, int], None] | None:
    """The callback of one stage, called with (done, total); None where nobody wants to know."""
    if progress is None:
        return None
    tell = progress
    return lambda done, total: tell(stage, done, total)
