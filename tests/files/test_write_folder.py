# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from scripts.files.write_folder import write_file, write_folder


def test_a_failing_writer_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        write_folder(tmp_path / "set", fill)
    with pytest.raises(OSError, match="no space left"):
        write_file(tmp_path / "list.json", lambda draft: fill(draft.parent))
    (tmp_path / "half").unlink()
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_two_writers_wins_or_both_are_equal(tmp_path: Path) -> None:
    for _ in range(2):
        write_folder(tmp_path / "set", lambda folder: (folder / "a").write_text("1"))  # type: ignore[arg-type, func-returns-value]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert (tmp_path / "set" / "a").read_text() == "1"


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    for text in ("first", "second"):
        write_file(tmp_path / "sub" / "list.json", lambda draft, text=text: draft.write_text(text))
    assert (tmp_path / "sub" / "list.json").read_text() == "second"
    assert len(list((tmp_path / "sub").iterdir())) == 1


def test_a_full_disk_is_told_with_the_name_that_the_user_knows(tmp_path: Path) -> None:
    def full(draft: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for write in (write_folder, write_file):
        with pytest.raises(OSError, match=r"cannot write .*/pictures: No space left on device; nothing was written"):
            write(tmp_path / "pictures", full)
    assert list(tmp_path.iterdir()) == []


def test_an_error_about_another_file_stays(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="source"):
        write_folder(tmp_path / "pictures", lambda draft: Path("/none/source.png").read_bytes())
