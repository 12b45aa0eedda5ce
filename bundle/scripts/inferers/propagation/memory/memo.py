# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Memory of pure results by their inputs: a correction recomputes what it touches, and nothing else.

Nothing has to be invalidated by hand. A chain whose neighbours' masks changed asks with other inputs and so is computed
anew; a chain that wasn't touched finds its old result, and the whole equals a fresh computation bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Memo", "digest"]

Value = TypeVar("Value")


def digest(array: NDArray | None) -> bytes:
    """Short fingerprint of an array's content and shape."""
    if array is None:
        return b""
    content = np.packbits(array) if array.dtype == bool else np.ascontiguousarray(array)
    return hashlib.blake2b(content.tobytes() + repr((array.shape, array.dtype.str)).encode(), digest_size=16).digest()


class Memo:
    """Keeps results of the last runs.

    Args:
        runs: results that were not asked for in this many runs are forgotten.
    """

    def __init__(self, runs: int = 3) -> None:
        self._runs = runs
        self._run = 0
        self._results: dict[Hashable, tuple[Any, int]] = {}
        self.hits = 0
        self.misses = 0

    def start_run(self) -> None:
        """Begin a run; forget what was not used lately."""
        self._run += 1
        self._results = {key: item for key, item in self._results.items() if self._run - item[1] <= self._runs}
        self.hits = self.misses = 0

    def recall(self, key: Hashable, function: Callable[[], Value]) -> Value:
        """The result of ``function``, which must depend on ``key`` alone; computed only if it is not known."""
        if key in self._results:
            value = self._results[key][0]
            self.hits += 1
        else:
            value = function()
            self.misses += 1
        self._results[key] = (value, self._run)
        return value
