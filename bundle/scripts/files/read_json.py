# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Reading text and JSON with whatever mark an editor put at the start; an error names the file and the line."""

from __future__ import annotations

import codecs
import json
import os
from pathlib import Path
from typing import Any

__all__ = ["read_json", "read_json_object", "read_lines", "read_text"]

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: str | os.PathLike[str]) -> str:
    """Content of a text file.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is no text in UTF-8 or, with a byte order mark, UTF-16; with the line.
    """
    content = Path(path).read_bytes()
    try:
        return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path} is not text in UTF-8: line {line}: {error.reason}") from error


def read_lines(path: str | os.PathLike[str]) -> list[str]:
    """Lines of a text file, without empty ones and outer blanks; errors as of `read_text`."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def read_json(path: str | os.PathLike[str]) -> Any:
    """Content of a JSON file.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is no JSON in UTF-8; with the line.
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{path} is not JSON that can be read: it is nested too deeply") from error


def read_json_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Content of a JSON file that holds an object, ``{"key": value, ...}``.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is no JSON in UTF-8, or another kind of value.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected an object of keys and values")
    return content
