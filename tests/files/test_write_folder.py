# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from scripts.files.write_folder import write_folder


def test_a_failing_writer_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        write_folder(tmp_path / "set", fill)
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_two_writers_wins_or_both_are_equal(tmp_path: Path) -> None:
    for _ in range(2):
        write_folder(tmp_path / "set", lambda folder: (folder / "a").write_text("1"))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert (tmp_path / "set" / "a").read_text() == "1"


def test_missing_files_are_filled_into_a_leftover(tmp_path: Path) -> None:
    (tmp_path / "set" / "sub").mkdir(parents=True)
    (tmp_path / "set" / "own").write_text("kept")

    def fill(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("1")

    write_folder(tmp_path / "set", fill)
    assert (tmp_path / "set" / "own").read_text() == "kept"
    assert (tmp_path / "set" / "sub" / "a").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_the_folder_gets_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    write_folder(tmp_path / "new" / "set", lambda folder: None)
    assert (tmp_path / "new" / "set").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_full_disk_is_told_with_the_name_that_the_user_knows(tmp_path: Path) -> None:
    def full(draft: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"no space left to write .*/pictures; nothing was written"):
        write_folder(tmp_path / "pictures", full)
    assert list(tmp_path.iterdir()) == []


def test_an_error_about_another_file_stays(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="source"):
        write_folder(tmp_path / "pictures", lambda draft: Path("/none/source.png").read_bytes())
