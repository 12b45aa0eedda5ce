# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Progress: a bar on a terminal; in a log a line per stage and per 10 %."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

__all__ = ["Progress", "StageProgress", "bars_as_lines"]

Progress = Callable[[str, int, int], None]

_STEP = 10  # percent
# tqdm's own form, "name:  40%|####   | 2/5 [00:01<00:02]", and ignite's, "name[2/5]  40%|####   [00:01<00:02]"
_BAR = re.compile(
    r"^\s*(?P<name>.*?):?\s*(?:\[(?P<early>\d+/\d+)\])?\s*(?P<percent>\d+)%\|(?:[^|]*\|\s*(?P<late>\S+/\S+))?"
)


class StageProgress(AbstractContextManager["StageProgress"]):
    """Show (stage, done, total) as it is told.

    Args:
        stream: standard error if None. Whether it is a terminal decides the form.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._bar: tqdm[None] | None = None
        self._stage = ""
        self._told = -1

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Tell how far a stage is; stages come one after the other."""
        if self._is_terminal:
            self._draw(stage, done, total)
            return
        percent = 100 * done // total if total > 0 else 100
        if stage != self._stage:
            self._stage, self._told = stage, -1
        step = percent // _STEP
        if step > self._told:
            self._told = step
            print(f"{stage}: {_STEP * step} % ({done}/{total})", file=self._stream, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    def _draw(self, stage: str, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = tqdm(total=total, unit="step", leave=False, file=self._stream)
        if stage != self._stage:
            self._stage = stage
            self._bar.reset(total)
            self._bar.set_description(stage, refresh=False)
        self._bar.total, self._bar.n = total, done
        self._bar.refresh()


class _LineStream:
    """A text stream that turns the bars of any library (tqdm) into lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told: dict[str, int] = {}
        self._is_within_line = False

    def write(self, text: str) -> int:
        """Pass text on; of a bar, one line per 10 %."""
        if "\r" not in text and not _BAR.match(text):
            if text.strip() or self._is_within_line or not self._told:  # else the line end of a bar
                self._stream.write(text)
                self._is_within_line = not text.endswith("\n")
            return len(text)
        for part in text.split("\r"):
            bar = _BAR.match(part)
            if bar is not None:
                self._tell(bar["name"] or "progress", int(bar["percent"]), bar["early"] or bar["late"] or "")
            elif part.strip():
                self._stream.write(part if part.endswith("\n") else part + "\n")
        return len(text)

    def flush(self) -> None:
        """Flush the stream behind it."""
        self._stream.flush()

    def isatty(self) -> bool:
        """It is none."""
        return False

    def fileno(self) -> int:
        """The descriptor of the stream behind it."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:
        """That of the stream behind it."""
        return self._stream.encoding

    def _tell(self, name: str, percent: int, count: str) -> None:
        step = percent // _STEP
        told = self._told.get(name, -1)
        if step == told:
            return
        self._told[name] = step  # a smaller one is that of the next epoch
        self._stream.write(f"{name}: {_STEP * step} %" + (f" ({count})" if count else "") + "\n")
        self._stream.flush()


def bars_as_lines() -> None:
    """Where standard error is no terminal, let the bars of all libraries come as lines."""
    if not sys.stderr.isatty() and not isinstance(sys.stderr, _LineStream):
        sys.stderr = _LineStream(sys.stderr)
