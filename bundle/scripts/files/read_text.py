# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Text files of the user's, with whatever mark their editor put at the start: UTF-8 with or without one, or UTF-16."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

__all__ = ["read_json", "read_lines", "read_text"]

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path) -> str:
    """Content of a text file.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is no text in UTF-8 or, with a byte order mark, UTF-16; the message names the file.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from error


def read_json(path: Path) -> Any:
    """Content of a JSON file; a ValueError names a file that is none."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {str(error).removeprefix(f'{path} is not ')}") from error


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, without empty ones and outer blanks; a ValueError names a file that is none."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]
