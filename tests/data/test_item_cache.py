# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Items are cached in order, and an error leaves no thread behind."""

from __future__ import annotations

import threading
import time

import pytest

from scripts.data.item_cache import ItemCache


def _slow_double(item: int) -> int:
    time.sleep(0.05 / (1 + item))
    return 2 * item


def test_items_in_order() -> None:
    cache = ItemCache(list(range(5)), _slow_double, num_workers=3, progress=False)
    assert cache._cache == list(range(5))  # a bare function counts as random: it runs at each access
    assert [cache[number] for number in range(5)] == [0, 2, 4, 6, 8]


def test_an_error_waits_for_the_threads() -> None:
    from monai.transforms import Transform

    started = []

    class Failing(Transform):
        def __call__(self, item: int) -> int:
            started.append(item)
            time.sleep(0.1)
            if item == 0:
                raise ValueError("item 0 is broken")
            return item

    before = threading.active_count()
    with pytest.raises(RuntimeError) as caught:
        ItemCache(list(range(20)), Failing(), num_workers=2, progress=False)
    assert "item 0 is broken" in str(caught.value.__cause__)
    assert threading.active_count() == before
    assert len(started) < 20
