# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Where features, embeddings and drawn pictures are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

from ..own_name import is_bundle
from .bundle_root import BUNDLE_ROOT

__all__ = ["CACHE_VARIABLE", "cache_root"]

CACHE_VARIABLE = "SEGPROMPT_CACHE"


def cache_root() -> Path:
    """Folder of all caches; it need not exist.

    A bundle keeps them in its own folder ``cache``. The installed package takes the folder of the environment variable
    ``SEGPROMPT_CACHE``, or else the user's cache folder: nothing is written beside installed code.
    """
    if is_bundle():
        return BUNDLE_ROOT / "cache"
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path  # not needed by a bundle

    return user_cache_path("segprompt")
