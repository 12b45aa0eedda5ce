# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Paths as the user wrote them: MONAI reads some of their characters as its own signs.

A ``#`` in any text becomes ``::`` before an expression runs, ``@`` at the start is a reference, ``$`` an expression. So
values with these signs are taken from the call that gave them, or looked for on the disk, and are handed on as
expressions that spell them out.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["literal", "restored_paths"]

_ARGUMENTS = (
    "override",
    "overrides",
    "given",
    "keys",
    "options",
)  # names under which callers hold what they were given
_PLAIN = re.compile(r"[A-Za-z0-9 /._=+-]")
_VARIABLE = re.compile(r"\$(\w+|\{\w+\})(/|$)")


def literal(value: Any) -> Any:
    """An expression for a text, or a list of texts, in which no character means anything to MONAI.

    Args:
        value: text, or a list of them; anything else is returned as it is.
    """
    if isinstance(value, str):
        return f"${_spelled(value)}"
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return f"$[{', '.join(map(_spelled, value))}]"
    return value


def restored_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """Top-level values that MONAI has changed, or would take for its own signs: key -> expression for the user's text.

    Args:
        config: the configuration, parsed.
    """
    restored: dict[str, Any] = {}
    for given in _given():
        for key, value in given.items():
            if key in config and key not in restored and _has_sign(value) and config[key] == _changed(value):
                restored[key] = literal(value)
    for key, value in config.items():
        if key not in restored and (found := _on_disk(value, config)) is not None:
            restored[key] = literal(found)
    return restored


def _given() -> Iterator[Mapping[str, Any]]:
    """Keyword arguments of the calls that led here, from the inside out."""
    frame = inspect.currentframe()
    while frame is not None:
        for name in _ARGUMENTS:
            if isinstance(arguments := frame.f_locals.get(name), dict):
                yield arguments
        frame = frame.f_back


def _has_sign(value: Any) -> bool:
    parts = value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(part, str) and "#" in part and not part.startswith(("$", "@", "%")) for part in parts)


def _changed(value: Any) -> Any:
    """What MONAI makes of a value."""
    if isinstance(value, (list, tuple)):
        return type(value)(_changed(part) for part in value)
    return value.replace("#", "::") if isinstance(value, str) else value


def _on_disk(value: Any, config: Mapping[str, Any]) -> str | None:
    """The path that a text means, where it says so only by what exists; None for everything else."""
    if not isinstance(value, str):
        return None
    if "::" in value and not value.startswith(("$", "@", "%")):
        hashed = value.replace("::", "#")
        parent = os.path.dirname(hashed)
        there = os.path.exists(hashed) or ("#" in parent and os.path.exists(parent))
        return hashed if there and not os.path.exists(value) else None
    if value.startswith("@"):
        is_reference = re.split(r"\W", value[1:], maxsplit=1)[0] in config
        return value if not is_reference and os.path.exists(value) else None
    if value.startswith("$") and os.path.exists(value):
        return value
    if _VARIABLE.match(value) and (expanded := os.path.expandvars(value)) != value:
        return expanded
    return None


def _spelled(value: str) -> str:
    """A literal of Python's in which all but the plainest characters are escaped."""
    return "'" + "".join(char if _PLAIN.match(char) else f"\\U{ord(char):08x}" for char in value) + "'"
