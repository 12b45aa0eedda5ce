# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Checks that every reader makes on its folder."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from scripts.data.readers.folders import (
    check_classes,
    check_stems,
    dataset_folder,
    find_file,
    list_files,
    require_dataset_dir,
    tell_loose_masks,
)


def test_a_set_without_its_folder_names_the_key() -> None:
    require_dataset_dir("somewhere", "wbc")
    with pytest.raises(ValueError, match=r"^dataset_dir is not given: say where data set wbc lies, with --dataset_dir"):
        require_dataset_dir(None, "wbc")


def test_the_folder_and_what_must_be_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set" / "images").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert dataset_folder("~/set", "WBC", "images", ["images"]) == tmp_path / "set"
    with pytest.raises(FileNotFoundError, match=r"set has no masks, no list\.txt; the layout of WBC is: images, masks"):
        dataset_folder(tmp_path / "set", "WBC", "images, masks", ["images", "masks", "list.txt"])
    for wrong in (tmp_path / "none", save(tmp_path / "file.zip")):
        with pytest.raises(
            FileNotFoundError, match=rf"dataset_dir .*{wrong.name} of WBC is not a folder; expected there: images"
        ):
            dataset_folder(wrong, "WBC", "images")


def save(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def test_pictures_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "c.tif", ".hidden.png", "Thumbs.db", "notes.txt"):
        save(tmp_path / name)
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_files(tmp_path)] == ["a.jpeg", "b.PNG", "c.tif"]
    assert [path.name for path in list_files(tmp_path, [".txt"])] == ["notes.txt"]


def test_the_first_of_several_names(tmp_path: Path) -> None:
    save(tmp_path / "b.png")
    (tmp_path / "a.png").mkdir()
    assert find_file(tmp_path, ["a.png", "b.png", "c.png"], "no mask") == tmp_path / "b.png"
    with pytest.raises(FileNotFoundError, match=rf"^x\.jpg has no mask: no x\.png or x\.bmp in {tmp_path}$"):
        find_file(tmp_path, ["x.png", "x.bmp"], "x.jpg has no mask")


def test_classes() -> None:
    known = ["liver", "spleen"]
    assert check_classes(None, known, "CHAOS") == known
    assert check_classes(None, known, "CHAOS") is not known
    assert check_classes(("spleen",), known, "CHAOS") == ["spleen"]
    assert check_classes([], known, "CHAOS") == []
    with pytest.raises(ValueError, match=r"^CHAOS has no class 'Liver', 'heart'; its classes are liver, spleen$"):
        check_classes(iter(["Liver", "spleen", "heart"]), known, "CHAOS")


def test_masks_without_a_picture_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    masks = [tmp_path / f"{name}.png" for name in "cab"]
    with caplog.at_level(logging.WARNING):
        tell_loose_masks(masks, iter(masks))
        assert caplog.records == []
        tell_loose_masks(masks, masks[1:2])
    assert caplog.records[0].getMessage() == (
        f"2 mask(s) in {tmp_path} have no picture and are left out, the first is b.png"
    )


def test_names_that_differ_in_the_suffix_only(tmp_path: Path) -> None:
    check_stems([tmp_path / "a.png", tmp_path / "b.png", tmp_path / "a.png"])
    with pytest.raises(ValueError, match=rf"^{tmp_path} holds two pictures named a: a\.png and a\.jpg$"):
        check_stems([tmp_path / "a.png", tmp_path / "b.png", tmp_path / "a.jpg"])


def test_two_spellings_of_a_letter_are_one_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds two pictures named"):
        check_stems([tmp_path / "\u00e4.png", tmp_path / "a\u0308.png"])
