# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Digests follow the content, not the place."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from scripts.files.digest import content_digest, file_digest


def test_a_file_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(range(256)) * 9000)
    assert file_digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file_digest(path, "md5") == hashlib.md5(path.read_bytes()).hexdigest()


def test_small_files_are_told_apart_by_every_byte(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"\0" * 500_000)
    second.write_bytes(b"\0" * 500_000)
    assert content_digest(first) == content_digest(second)
    second.write_bytes(b"\0" * 250_001 + b"\1" + b"\0" * 249_998)
    assert content_digest(first) != content_digest(second)


def test_large_ones_by_size_ends_and_checksum(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for change in (b"\0", b"\0\0", b"\1"):
        first.write_bytes(b"\0" * 3_000_000 + b"\0")
        second.write_bytes(b"\0" * 3_000_000 + change)
        assert (content_digest(first) == content_digest(second)) == (change == b"\0")
    noise = bytearray(hashlib.shake_256(b"noise").digest(3_000_000))
    first.write_bytes(gzip.compress(noise, 1, mtime=0))
    noise[1_000_000] ^= 1
    second.write_bytes(gzip.compress(noise, 1, mtime=0))
    assert content_digest(first) != content_digest(second)


def test_a_folder_by_its_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.dcm").write_bytes(b"1")
    assert content_digest(tmp_path / "a") == content_digest(tmp_path / "b")
    (tmp_path / "b" / "1.dcm").rename(tmp_path / "b" / "2.dcm")
    assert content_digest(tmp_path / "a") != content_digest(tmp_path / "b")
