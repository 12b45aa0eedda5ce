# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Values of keys as a person types them."""

from __future__ import annotations

import ast
from typing import Any

__all__ = ["read_value"]

_WORDS: dict[str, bool | None] = {
    "true": True,
    "yes": True,
    "false": False,
    "no": False,
    "none": None,
    "null": None,
}


def read_value(text: str, default: Any = None) -> Any:
    """Read the value of a key.

    Args:
        text: a Python or JSON value (``3``, ``0.5``, ``['a', 'b']``), a word (``true``, ``none``), an expression
            (``$torch.device('cpu')``), or any other text, which is taken as it is.
        default: the key's default. Where it is a list, ``a,b`` is a list, too; where it is a device, a device's name is
            enough (``cuda:1``).

    Returns:
        The value as a configuration takes it.
    """
    if isinstance(default, str) and default.startswith("$torch.device(") and not text.startswith("$"):
        return f"$torch.device({text!r})"
    if text.lower() in _WORDS and not isinstance(default, str):
        return _WORDS[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(default, str) and not default.startswith("$"):
        return text if not isinstance(value, str) else value
    if isinstance(default, list) and not isinstance(value, list | tuple | dict):
        return [read_value(part.strip()) for part in text.split(",")] if text else []
    return list(value) if isinstance(value, tuple) and isinstance(default, list) else value
