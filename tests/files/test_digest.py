# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from scripts.files.digest import file_hash


def test_hash_of_a_file_longer_than_a_piece(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000  # 1.2 MiB
    (tmp_path / "a").write_bytes(content)
    assert file_hash(tmp_path / "a") == hashlib.sha256(content).hexdigest()
    assert file_hash(str(tmp_path / "a"), "md5") == hashlib.md5(content).hexdigest()


def test_known_value_and_missing_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_text("abc")
    assert file_hash(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")
    with pytest.raises(FileNotFoundError, match="none"):
        file_hash(tmp_path / "none")
