# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Text as editors and shells write it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.files.read_text import read_json, read_lines, read_text

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_marks_at_the_start_are_no_content(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"Größe": 1}, ensure_ascii=False), encoding=encoding)
    assert read_json(path) == {"Größe": 1}
    path.write_text(" a \r\n\r\nb\n", encoding=encoding)
    assert read_lines(path) == ["a", "b"]


@pytest.mark.parametrize("content", [b"{", b"\xff{}", b"", b"\xff\xfe{"])
def test_what_is_no_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json is not JSON: "):
        read_json(path)


def test_what_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xc3(")
    with pytest.raises(ValueError, match=r"a\.txt is not text in UTF-8"):
        read_text(tmp_path / "a.txt")
