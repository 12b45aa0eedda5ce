# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The order in which a person counts file names."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["natural_key"]


def natural_key(name: str | Path) -> list[tuple[int, int, str]]:
    """Sort key under which ``case_2`` comes before ``case_10``."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", str(name)) if part]
