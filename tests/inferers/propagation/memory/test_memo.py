# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Memory of pure results."""

from __future__ import annotations

import numpy as np

from scripts.inferers.propagation.memory.memo import Memo, digest


def test_memo_forgets_what_no_run_asked_for():
    memo, calls = Memo(runs=1), []
    for _ in range(2):
        memo.start_run()
        assert memo.recall("a", lambda: calls.append(1) or 7) == 7
    assert len(calls) == 1
    memo.start_run()
    memo.start_run()
    memo.recall("a", lambda: calls.append(1) or 7)
    assert len(calls) == 2
    assert digest(np.zeros((2, 3))) != digest(np.zeros((3, 2)))


def test_bytes_are_bounded_and_the_latest_run_stays():
    memo = Memo(limit=3000)
    memo.start_run()
    for name in "abcd":
        memo.recall(name, lambda: np.zeros(1000, np.uint8))
    assert memo.held == 3000
    assert memo.misses == 4
    memo.start_run()
    for name in "abcd":  # asked in the same order: what was kept is found, the fourth isn't kept for want of room
        memo.recall(name, lambda: np.zeros(1000, np.uint8))
    assert (memo.hits, memo.misses) == (3, 1)
    memo.start_run()
    memo.recall("e", lambda: np.zeros(2000, np.uint8))  # two of an earlier run make room
    assert memo.held == 3000


def test_nothing_is_kept_without_room():
    memo, calls = Memo(limit=0), []
    for _ in range(2):
        memo.recall("a", lambda: calls.append(1) or (np.zeros(5), None))
    assert len(calls) == 2
    assert memo.held == 0


def test_several_at_once_computes_the_unknown_ones_together():
    memo, asked = Memo(), []

    def squares(names):
        asked.append(list(names))
        return {name: name**2 for name in names}

    assert memo.recall_all({1: "one", 2: "two"}, squares) == {1: 1, 2: 4}
    assert memo.recall_all({2: "two", 3: "three"}, squares) == {2: 4, 3: 9}
    assert asked == [[1, 2], [3]]
