# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A place for results is tried by writing there, and left as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.files.atomic import write_text
from scripts.files.writable import require_writable

LONGEST = "x" * 244 + "_seg.nii.gz"  # 255 bytes, the limit of common file systems


def test_nothing_is_left_and_nothing_is_touched(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_seg.nii.gz").write_text("earlier")
    folder = require_writable(tmp_path / "out", ["a_seg.nii.gz", "b_seg.nii.gz", LONGEST])
    assert [path.name for path in folder.iterdir()] == ["a_seg.nii.gz"]
    assert (folder / "a_seg.nii.gz").read_text() == "earlier"
    assert require_writable(tmp_path / "new" / "below") == tmp_path / "new" / "below"
    assert not (tmp_path / "new").exists()


def test_a_name_at_the_limit_is_written_whole(tmp_path: Path) -> None:
    write_text(tmp_path / LONGEST, "content")
    assert [path.name for path in tmp_path.iterdir()] == [LONGEST]
    assert (tmp_path / LONGEST).read_text() == "content"


def test_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert require_writable("~/out") == tmp_path / "out"


def place_below_a_file(folder: Path) -> tuple[Path, str]:
    (folder / "file").write_text("x")
    return folder / "file" / "out", "a_seg.nii.gz"


def place_of_a_folder(folder: Path) -> tuple[Path, str]:
    (folder / "a_seg.nii.gz").mkdir()
    return folder, "a_seg.nii.gz"


def too_long(folder: Path) -> tuple[Path, str]:
    return folder, "x" + LONGEST


def read_only(folder: Path) -> tuple[Path, str]:
    if os.geteuid() == 0:
        return Path("/proc/nowhere"), "a_seg.nii.gz"
    folder.chmod(0o500)
    return folder, "a_seg.nii.gz"


def full(folder: Path) -> tuple[Path, str]:
    return Path("/dev/full"), "a_seg.nii.gz"


@pytest.mark.parametrize("make", [place_below_a_file, place_of_a_folder, too_long, read_only, full])
def test_what_can_not_be_written_is_named(tmp_path: Path, make: object) -> None:
    folder, name = make(tmp_path)  # type: ignore[operator]
    with pytest.raises(OSError, match=rf"cannot write {folder / name}"):
        require_writable(folder, [name])
