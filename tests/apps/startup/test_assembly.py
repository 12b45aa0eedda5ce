# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Data sets and overlays by name: which folder a name means, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.apps.startup.assembly import TARGETS, find_overlay, find_target


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    for name in ("KVASIR", "BUSI", "MONUSEG", "ISIC", "COCO128", "chest_xray", "CHEST"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "overlay", "folder"),
    [
        ("BUSI", "image_text", "BUSI"),
        ("busi", "image_text", "BUSI"),
        ("MonuSeg", "image_text", "MONUSEG"),
        ("image_text", "image_text", "KVASIR"),
        ("isic2018", "isic2018", "ISIC"),
        ("coco", "coco", "COCO128"),
        ("chest", "chest_xray", "CHEST"),
        ("chest_xray", "chest_xray", "chest_xray"),
    ],
)
def test_a_name_means_one_folder(data_root: Path, name: str, overlay: str, folder: str) -> None:
    assert find_target(name, data_root) == (overlay, data_root / folder)


@pytest.mark.parametrize("name", [folder for folders in TARGETS.values() for folder in folders])
def test_a_folder_in_any_case_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    for given in (name, name.lower(), name.upper()):
        assert find_target(given, tmp_path).dataset_dir == tmp_path / name


@pytest.mark.parametrize("name", ["BUSI", "busi", "ISIC2018", "COCO"])
def test_a_folder_that_is_missing_has_no_stand_in(data_root: Path, name: str) -> None:
    (data_root / "BUSI").rmdir()
    with pytest.raises(FileNotFoundError, match=f"target '{name}': none of .*which holds CHEST, COCO128"):
        find_target(name, data_root)


@pytest.mark.parametrize("root", [None, "", 5])
def test_a_missing_data_root_says_how_to_set_it(root: object) -> None:
    with pytest.raises(ValueError, match=r"data_root is .*--data_root DATA"):
        find_target("ISIC", root)  # type: ignore[arg-type]


@pytest.mark.parametrize(("content", "message"), [('{"host_name": ', "is not JSON"), ("[1]", "holds a list")])
def test_a_broken_overlay_is_named(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=f"hosts overlay {file} {message}"):
        find_overlay("hosts", str(file))
