# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""MONAI's cache of loaded items, whose threads have ended when it is filled, or has failed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from monai.data.dataset import CacheDataset
from tqdm import tqdm

from .free_memory import release_free_memory

__all__ = ["ItemCache"]

_RELEASE_EVERY = 64


class ItemCache(CacheDataset):
    """A ``CacheDataset`` that an error in an item ends cleanly.

    MONAI fills the cache in daemon threads and doesn't wait for them when an item fails. One that is still inside the
    backbone when the interpreter shuts down aborts the process ("terminate called without an active exception", exit
    code 134), after the error message that the user should read.
    """

    def _fill_cache(self, indices: Sequence[int] | None = None) -> list[Any]:
        numbers = range(self.cache_num) if indices is None else indices
        with ThreadPoolExecutor(self.num_workers) as pool:
            waiting = [pool.submit(self._load_cache_item, number) for number in numbers]
            try:
                items = []
                for loaded in tqdm(waiting, desc="Loading dataset", disable=not self.progress):
                    items.append(loaded.result())
                    if len(items) % _RELEASE_EVERY == 0:
                        release_free_memory()
                return items
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
