# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Which label values a mask holds, kept from one start to the next: decoding all masks of a large set takes long."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ...files.atomic import write_text
from ...files.digest import file_digest
from ...files.read_json import read_json
from ..picture_reader import read_index

__all__ = ["MaskIndex", "count_values"]

_NUM_VALUES = 256

logger = logging.getLogger(__name__)


def count_values(label: str | Path) -> tuple[tuple[int, int], np.ndarray]:
    """Height and width of a mask, and (256,) pixels of each value; errors are those of `read_index`."""
    mask = read_index(label)
    return (mask.shape[0], mask.shape[1]), np.bincount(mask.ravel(), minlength=_NUM_VALUES)


class MaskIndex:
    """A context in which masks are counted once in their life, known again by the hash of their bytes.

    Names and times of files don't matter, so a set may be moved or copied. Threads may share an index. On leaving, new
    entries are added to the file, which is written beside its place and renamed.

    Args:
        file: JSON, made if missing; None keeps nothing.
    """

    def __init__(self, file: str | Path | None) -> None:
        self.file = None if file is None else Path(file).expanduser()
        self._entries = self._read()
        self._new: dict[str, list[Any]] = {}

    def __enter__(self) -> MaskIndex:
        """Give the index."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is new, even where a mask was refused; a folder that can't be written to is no reason to stop."""
        if self.file is None or not self._new:
            return
        entries = {**self._read(), **self._new}  # another process may have written meanwhile
        try:
            write_text(self.file, json.dumps(entries))
        except OSError as failed:
            logger.warning("masks will be read again at the next start: %s", failed)

    def count_values(self, label: str | Path) -> tuple[tuple[int, int], np.ndarray]:
        """As the function `count_values`."""
        if self.file is None:
            return count_values(label)
        try:
            key = file_digest(label)
        except FileNotFoundError:
            return count_values(label)  # tells it
        found = self._entries.get(key)
        if found is None:
            shape, counts = count_values(label)
            self._entries[key] = self._new[key] = [*shape, {int(v): int(counts[v]) for v in np.flatnonzero(counts)}]
            return shape, counts
        height, width, known = found
        counts = np.zeros(_NUM_VALUES, np.int64)
        counts[[int(value) for value in known]] = list(known.values())
        return (height, width), counts

    def _read(self) -> dict[str, list[Any]]:
        if self.file is None or not self.file.is_file():
            return {}
        try:
            content: dict[str, list[Any]] = read_json(self.file)
            if all(len(entry) == 3 and sum(entry[2].values()) == entry[0] * entry[1] for entry in content.values()):
                return content
        except (OSError, ValueError, TypeError, AttributeError):
            pass
        logger.warning("%s is no index of masks and is made anew", self.file)
        return {}
