# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Names of this package's parts without the package's name, under which it may be another one.

A bundle imports its code as ``scripts``, an installed package by its own name; files that both read say ``.networks``
where the code says ``scripts.networks``.
"""

from __future__ import annotations

import re

from ...own_name import PACKAGE

__all__ = ["full_name", "own_name"]


def own_name(text: str) -> str:
    """Replace the package in front of a dotted path, or in an expression, by the leading dot alone."""
    return re.sub(rf"(?<![\w.]){re.escape(PACKAGE)}\.", ".", text)


def full_name(text: str) -> str:
    """Put the package in front of a dotted path that starts with a dot."""
    return f"{PACKAGE}{text}" if text.startswith(".") else text
