# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Values that JSON can hold, as they are kept of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["is_plain"]


def is_plain(value: Any) -> bool:
    """Whether JSON can hold it."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
