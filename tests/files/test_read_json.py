# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import pytest

from scripts.files.read_json import read_json, read_json_object, read_lines, read_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_content(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"name": "Größe"}', encoding=encoding)
    assert read_json(file) == read_json_object(str(file)) == {"name": "Größe"}
    assert read_text(file) == '{"name": "Größe"}'


def test_lines_without_empty_ones(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("\n one \r\n\n\ttwo\nthree", encoding="utf-8-sig")
    assert read_lines(file) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n  "a": 1\n  "b": 2\n}', r"a\.json is not JSON: line 3, column 3: Expecting ',' delimiter"),
        (b"", r"a\.json is not JSON: line 1, column 1"),
        (b'{\n  "a": "\xff"\n}', r"a\.json is not JSON: .*a\.json is not text in UTF-8: line 2: invalid start byte"),
        (b"[" * 100_000, r"a\.json is not JSON that can be read: it is nested too deeply"),
        (b"[1]", r"a\.json holds a list, expected an object"),
    ],
)
def test_an_error_names_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_json_object(tmp_path / "a.json")


def test_text_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\n\xfe")
    with pytest.raises(ValueError, match=r"a\.txt is not text in UTF-8: line 3"):
        read_lines(tmp_path / "a.txt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (read_json, read_json_object, read_lines, read_text):
        with pytest.raises(FileNotFoundError, match=r"none\.json"):
            read(tmp_path / "none.json")
