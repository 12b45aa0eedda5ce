# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One way from a folder to its files, and from a name in a list to a file."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.files.listing import file_of, is_litter, plain_name, visible_files, visible_folders, without_results

LITTER = (
    *("._V.nii.gz", ".DS_Store", "Thumbs.db", "thumbs.DB", "desktop.ini", "Icon\r", "~$table.xlsx"),
    *("__MACOSX", "@eaDir", ".~lock.V.csv#", ".hidden.png"),
)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\\\0", exclude_categories=["Cc", "Cs"]), min_size=1)


@pytest.mark.parametrize("name", LITTER)
def test_litter(name: str) -> None:
    assert is_litter(name)


def test_visible_entries(tmp_path: Path) -> None:
    for name in (*LITTER, "V.nii.gz", "b.PNG", "a.png", "notes.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "case").mkdir()
    (tmp_path / ".git").mkdir()
    assert [path.name for path in visible_files(tmp_path)] == ["V.nii.gz", "a.png", "b.PNG", "notes.txt"]
    assert [path.name for path in visible_files(tmp_path, (".png",))] == ["a.png", "b.PNG"]
    assert [path.name for path in visible_folders(tmp_path)] == ["case"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("name", ["Größe", "é/ü.png", "日本/が.png"])
def test_two_spellings_of_one_name(tmp_path: Path, name: str, form: str) -> None:
    other = "NFD" if form == "NFC" else "NFC"
    stored = tmp_path / unicodedata.normalize(form, name)  # type: ignore[arg-type]
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_text("x")
    assert file_of(tmp_path, unicodedata.normalize(other, name)) == stored  # type: ignore[arg-type]
    assert file_of(tmp_path, str(stored)) == stored
    assert plain_name(stored.name) == plain_name(unicodedata.normalize(other, stored.name))  # type: ignore[arg-type]


def test_a_link_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "9f86d08").write_text("x")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.nii.gz").symlink_to(tmp_path / "9f86d08")
    assert file_of(tmp_path, "./images/a.nii.gz") == tmp_path / "images" / "a.nii.gz"
    assert file_of(tmp_path, "images\\a.nii.gz") == tmp_path / "images" / "a.nii.gz"
    assert file_of(tmp_path, "images/b.nii.gz") == tmp_path / "images" / "b.nii.gz"  # absent: as it was asked for


@given(stems=st.lists(NAMES, min_size=1, max_size=8, unique=True), written=st.integers(0, 7))
def test_only_results_of_another_image_are_results(stems: list[str], written: int) -> None:
    base = stems[written % len(stems)]
    every = list(dict.fromkeys([*stems, f"{base}_seg", f"{base}_probability", "alone_seg"]))
    images, results = without_results([Path(name) for name in every], every)
    assert {str(path) for path in results} >= {f"{base}_seg", f"{base}_probability"} - set(stems)
    assert Path(base) in images or any(base == f"{other}_seg" for other in every)
    assert sorted(map(str, images + results)) == sorted(str(Path(name)) for name in every)
    if "alone" not in stems:
        assert Path("alone_seg") in images
