# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Sentences of single images, those that give the answer away apart."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from scripts.data.readers import sentences
from scripts.data.readers.sentences import Sentences, read_lvit_table, read_medvlsm_prompts


def prompts_file(path: Path, *records: Any) -> Path:
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


def table_file(path: Path, *rows: tuple[Any, ...]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def test_prompts_up_to_p9(tmp_path: Path) -> None:
    prompts = {"p0": "", "p1": " polyp ", "p2": "round polyp", "p7": ["a lump", " ", "a growth"], "p9": ["one, left"]}
    file = prompts_file(tmp_path / "val.json", {"img_name": "sub/a.b.jpg", "prompts": prompts})
    expected = Sentences(("polyp", "a lump", "a growth"), ("round polyp", "one, left"), "val")
    assert read_medvlsm_prompts([file]) == {"a.b": expected}


def test_prompts_of_shorter_lists_have_one_that_names(tmp_path: Path) -> None:
    prompts = {"p1": "cell", "p6": ["six"], "p7": ["seven"]}
    file = prompts_file(tmp_path / "all.json", {"img_name": "a.png", "prompts": prompts})
    assert read_medvlsm_prompts([file]) == {"a": Sentences(("cell",), ("six", "seven"), None)}


def test_the_record_tells_its_split_before_the_file_does(tmp_path: Path) -> None:
    files = [
        prompts_file(tmp_path / "train.json", {"img_name": "a.png", "prompts": {}, "split": "test"}),
        prompts_file(tmp_path / "test.json", {"img_name": "b.png", "prompts": {"p1": None}}),
    ]
    assert read_medvlsm_prompts(files) == {"a": Sentences((), (), "test"), "b": Sentences((), (), "test")}
    assert read_medvlsm_prompts([]) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}', r"p\.json holds a dict, expected a list of records with img_name and prompts"),
        ('["a"]', r"p\.json: record 0 needs the entries img_name and prompts"),
        ('[{"img_name": "a", "prompts": {}}, {"img_name": 3, "prompts": {}}]', r"p\.json: record 1 needs the entries"),
        ('[{"img_name": "a", "prompts": "p"}]', r"record 0 needs the entries"),
        ('[{"img_name": "a", "prompts": {"p2": ["b", 3]}}]', r"record 0 has the prompt \['b', 3\], expected a text or"),
        ("[", r"p\.json is not JSON"),
    ],
)
def test_malformed_prompts(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_medvlsm_prompts([tmp_path / "p.json"])


def test_a_table_by_its_columns(tmp_path: Path) -> None:
    file = table_file(
        tmp_path / "t.xlsx",
        (None, " Description ", "Image"),
        (1, "two  areas,\n left", "a.b.png "),
        (2, None, "silent.png"),
        (3, "of nothing", None),
        (4, 7, 12),
    )
    assert read_lvit_table(file) == {"a.b": Sentences((), ("two areas, left",)), "12": Sentences((), ("7",))}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("Image", "Text")], r"t\.xlsx has no column Description in its first row, which holds: Image, Text$"),
        ([("a",)], r"has no column Image and no column Description in its first row, which holds: a$"),
        ([], "which holds: nothing$"),
    ],
)
def test_missing_columns(tmp_path: Path, rows: list[tuple[str, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_lvit_table(table_file(tmp_path / "t.xlsx", *rows))


def test_files_that_are_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"no archive")
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as archive:
        archive.writestr("other.txt", "no workbook")
    for name in ("a.xlsx", "b.xlsx", "none.xlsx"):
        with pytest.raises(ValueError, match=rf"{name} is not a readable table \(xlsx\): "):
            read_lvit_table(tmp_path / name)


def test_a_table_that_unpacks_to_too_much_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "_LARGEST_TABLE", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(600))
        archive.writestr("b", bytes(401))
    with pytest.raises(ValueError, match=r"bomb\.xlsx is not a readable .*: unpacked it would take 1001 bytes"):
        read_lvit_table(tmp_path / "bomb.xlsx")
