# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Memory of pure results by their inputs: a correction recomputes what it touches, and nothing else.

Nothing has to be invalidated by hand. A chain whose neighbours' masks changed asks with other inputs and so is computed
anew; a chain that wasn't touched finds its old result, and the whole equals a fresh computation bit for bit.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Memo", "digest"]

Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")

_SMALL = 256  # bytes counted for a result without arrays


def digest(array: NDArray[Any] | None) -> bytes:
    """Short fingerprint of an array's content and shape."""
    if array is None:
        return b""
    content = np.packbits(array) if array.dtype == bool else np.ascontiguousarray(array)
    return hashlib.blake2b(content.tobytes() + repr((array.shape, array.dtype.str)).encode(), digest_size=16).digest()


class Memo:
    """Keeps results of the last runs, up to a number of bytes.

    Where there is no room, results that this run didn't ask for make room, the oldest first; those that it did ask for
    stay, and the new one isn't kept. (Runs ask in the same order: if the latest stayed instead, a run would always drop
    what the next one asks for first.)

    Args:
        runs: results that were not asked for in this many runs are forgotten.
        limit: bytes; 0 keeps nothing.
    """

    def __init__(self, runs: int = 3, *, limit: int = 2**30) -> None:
        self._runs = runs
        self._run = 0
        self._limit = limit
        self._results: OrderedDict[Hashable, tuple[Any, int, int]] = OrderedDict()  # result, its bytes, last run
        self.held = 0
        self.hits = 0
        self.misses = 0

    def start_run(self) -> None:
        """Begin a run; forget what was not used lately."""
        self._run += 1
        for key in [key for key, (_, _, run) in self._results.items() if self._run - run > self._runs]:
            self._forget(key)
        self.hits = self.misses = 0

    def recall(self, key: Hashable, function: Callable[[], Value]) -> Value:
        """The result of ``function``, which must depend on ``key`` alone; computed only if it is not known."""
        return self.recall_all({None: key}, lambda _: {None: function()})[None]

    def recall_all(
        self, keys: Mapping[Name, Hashable], function: Callable[[Sequence[Name]], Mapping[Name, Value]]
    ) -> dict[Name, Value]:
        """Several results; ``function`` computes those that are not known together.

        Args:
            keys: by name, what a result depends on.
            function: from names to results by name.
        """
        found: dict[Name, Value] = {}
        for name, key in keys.items():
            if key in self._results:
                value, size, _ = self._results.pop(key)
                self._results[key] = (value, size, self._run)
                found[name] = value
        self.hits += len(found)
        missing = [name for name in keys if name not in found]
        if missing:
            computed = function(missing)
            self.misses += len(missing)
            for name in missing:
                found[name] = computed[name]
                self._keep(keys[name], computed[name])
        return found

    def _keep(self, key: Hashable, value: Any) -> None:
        size = _bytes_of(value)
        while self._results and self.held + size > self._limit:
            oldest = next(iter(self._results))
            if self._results[oldest][2] == self._run:
                return
            self._forget(oldest)
        if self.held + size <= self._limit:
            self._results[key] = (value, size, self._run)
            self.held += size

    def _forget(self, key: Hashable) -> None:
        self.held -= self._results.pop(key)[1]


def _bytes_of(value: Any) -> int:
    if isinstance(value, tuple):
        return sum(map(_bytes_of, value))
    return max(_SMALL, int(getattr(value, "nbytes", 0)))
