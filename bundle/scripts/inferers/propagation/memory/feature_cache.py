# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Features of a volume on disk, named by the content that they were made from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ....files.atomic import replace_when_done

__all__ = ["feature_key", "fingerprint_of", "load_features", "save_features", "volume_digest"]


def volume_digest(slices: Iterable[NDArray[Any]]) -> str:
    """SHA-256 of a volume's intensities as float32, whatever its data type; slice by slice, so without a copy."""
    content = hashlib.sha256()
    for image in slices:
        content.update(repr(image.shape).encode())
        content.update(np.ascontiguousarray(image, dtype=np.float32).tobytes())
    return content.hexdigest()


def fingerprint_of(segmenter: object) -> str:
    """Fingerprint of whatever makes the features.

    Raises:
        ValueError: when it has none; its features can't be told from another's and so can't be cached on disk.
    """
    for part in (segmenter, getattr(segmenter, "backbone", None)):
        fingerprint = getattr(part, "fingerprint", None)
        if callable(fingerprint):
            return str(fingerprint())
    raise ValueError(f"{type(segmenter).__name__} has no fingerprint(), so its features can't be cached in cache_dir")


def feature_key(volume: str, fingerprint: str, *values: Any) -> str:
    """Name of the features of a volume: its digest, the network's fingerprint and all that shapes the input."""
    return hashlib.sha256(repr((volume, fingerprint, values)).encode()).hexdigest()[:40]


def load_features(folder: str | Path, key: str) -> dict[str, Tensor] | None:
    """Features by level, or None where they are missing or unreadable (they are then made again)."""
    path = _path(folder, key)
    if not path.is_file():
        return None
    try:
        return load_file(path)
    except (SafetensorError, OSError):
        return None


def save_features(folder: str | Path, key: str, features: dict[str, Tensor]) -> None:
    """Write features beside their place, then rename, so that a reader never sees half a file."""
    with replace_when_done(_path(folder, key)) as partial:
        save_file({level: maps.contiguous().to(torch.float16) for level, maps in features.items()}, partial)


def _path(folder: str | Path, key: str) -> Path:
    return Path(folder) / f"features_{key}.safetensors"
