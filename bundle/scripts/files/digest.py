# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Hash of a file's content."""

from __future__ import annotations

import hashlib
import os

__all__ = ["file_hash"]


def file_hash(path: str | os.PathLike[str], name: str = "sha256") -> str:
    """Hash of a file's content in hexadecimal digits, read piece by piece.

    Args:
        path: the file.
        name: of the hash, as `hashlib` has it.
    """
    digest = hashlib.new(name)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
