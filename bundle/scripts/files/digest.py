# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Digests that tell the content of files apart, wherever they lie."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

__all__ = ["content_digest", "file_digest"]

_BLOCK = 1 << 16
_BLOCKS = 16


def file_digest(path: str | os.PathLike[str], name: str = "sha256") -> str:
    """Hash of a file, whole, in hexadecimal digits; ``name`` as `hashlib` has it."""
    digest = hashlib.new(name)
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def content_digest(path: str | os.PathLike[str]) -> str:
    """Digest of a file's size and content, at a bounded cost; of a folder, that of its files and their names.

    Files of up to 1 MiB are read whole; of larger ones 16 blocks of 64 KiB, the first and the last among them. The last
    block of a compressed file holds the checksum of all of its content.
    """
    path = Path(path)
    digest = hashlib.sha256()
    if path.is_dir():
        for part in sorted(entry for entry in path.rglob("*") if entry.is_file()):
            digest.update(f"{part.relative_to(path).as_posix()} {content_digest(part)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(f"{size} ".encode())
        if size <= _BLOCK * _BLOCKS:
            digest.update(file.read())
        else:
            for index in range(_BLOCKS):
                file.seek(index * (size - _BLOCK) // (_BLOCKS - 1))
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()
