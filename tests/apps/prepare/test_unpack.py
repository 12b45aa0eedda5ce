# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import contextlib
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.apps.prepare.unpack import unpack


def tar(path: Path, entries: list[tarfile.TarInfo | tuple[str, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for entry in entries:
            if isinstance(entry, tuple):
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                archive.addfile(info, io.BytesIO(entry[1]))
            else:
                archive.addfile(entry)
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zipped(path: Path, entries: list[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def zip_link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_contents_arrive(tmp_path: Path, kind: str) -> None:
    files = [("a/b/one.txt", b"1" * 1000), ("./two.txt", b""), ("__MACOSX/._x", b"x")]
    path = tmp_path / "archive"
    path = zipped(path, [*files, ("folder/", b"")]) if kind == "zip" else tar(path, files, kind)
    (tmp_path / "out" / "a" / "b").mkdir(parents=True)
    (tmp_path / "out" / "a" / "b" / "one.txt").write_text("old")
    (tmp_path / "out" / "own.txt").write_text("kept")
    assert unpack(path, tmp_path / "out") == 2
    found = sorted(str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*") if file.is_file())
    assert found == ["a/b/one.txt", "own.txt", "two.txt"]
    assert (tmp_path / "out" / "a" / "b" / "one.txt").read_bytes() == b"1" * 1000


OUTSIDE = ["../evil", "a/../../evil", "/evil", "C:/evil", "C:evil", "\\\\host\\evil", "..\\evil", "a\\..\\evil"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_outside(tmp_path: Path, name: str, kind: str) -> None:
    files = [("good.txt", b"1"), (name, b"evil")]
    path = zipped(tmp_path / "x", files) if kind == "zip" else tar(tmp_path / "x", files)
    with pytest.raises(ValueError, match=r"x is refused: the entry '.*evil' leads outside the folder; noth"):
        unpack(path, tmp_path / "in" / "out")
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["x"]
    assert list((tmp_path / "in" / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (special("l", tarfile.SYMTYPE, "/etc/passwd"), "the entry 'l' is a link"),
        (special("l", tarfile.LNKTYPE, "good"), "the entry 'l' is a link"),
        (special("d", tarfile.CHRTYPE), "the entry 'd' is a device"),
        (special("f", tarfile.FIFOTYPE), "the entry 'f' is a device"),
        (("good", b"2"), "it has the entry 'good' twice"),
    ],
)
def test_tar_entries_that_are_refused(tmp_path: Path, entry: tarfile.TarInfo, message: str) -> None:
    path = tar(tmp_path / "x.tar", [("good", b"1"), entry])
    with pytest.raises(ValueError, match=message):
        unpack(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_zip_link(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", [(zip_link(), b"/etc/passwd")])
    with pytest.raises(ValueError, match="the entry 'link' is a link"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("kind", ["zip", "w:gz"])
def test_bombs(tmp_path: Path, kind: str) -> None:
    files = [("zeros", bytes(5_000_000))]
    path = zipped(tmp_path / "x", files) if kind == "zip" else tar(tmp_path / "x", files, kind)
    with pytest.raises(ValueError, match=r"x is refused: its content takes more than \d+ bytes"):
        unpack(path, tmp_path / "out")
    assert unpack(path, tmp_path / "out", ratio=10_000) == 1
    with pytest.raises(ValueError, match="its content takes more than 1000 bytes"):
        unpack(path, tmp_path / "out", ratio=10_000, largest=1000)


def test_a_header_that_tells_less_than_comes(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", [("zeros", bytes(5_000_000))])
    content = bytearray(path.read_bytes())
    size = (5_000_000).to_bytes(4, "little")
    for start in (content.find(size), content.rfind(size)):
        content[start : start + 4] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="nothing was unpacked"):
        unpack(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_too_many_entries(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", [(str(number), b"1") for number in range(12)])
    with pytest.raises(ValueError, match="it has more than 10 entries"):
        unpack(path, tmp_path / "out", most_files=10)


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "no archive", "nothing"])
def test_damaged(tmp_path: Path, kind: str) -> None:
    files = [("a", bytes(range(256)) * 40), ("b", b"2" * 5000)]
    path = tmp_path / "x"
    if kind == "zip":
        content = bytearray(zipped(path, files).read_bytes())
        content[60:70] = b"0123456789"
        path.write_bytes(content)
    elif kind.startswith("w"):
        path.write_bytes(tar(path, files, kind).read_bytes()[: -(12_000 if kind == "w" else 30)])
    else:
        path.write_bytes(b"" if kind == "nothing" else b"<html>Please log in</html>")
    with pytest.raises(ValueError, match=r"x is damaged, or no zip or tar: .*; nothing was unpacked"):
        unpack(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_empty_archive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.zip holds no file"):
        unpack(zipped(tmp_path / "x.zip", []), tmp_path / "out")


@given(name=st.text(st.sampled_from("ab./\\:C"), min_size=1, max_size=8))
def test_no_name_writes_outside(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = tar(folder / "x.tar", [(name, b"1")])
    (folder / "in").mkdir()
    with contextlib.suppress(ValueError, OSError):
        unpack(path, folder / "in" / "out")
    written = [file for file in folder.rglob("*") if file.is_file() and file != path]
    assert all(file.is_relative_to(folder / "in" / "out") for file in written)


def test_what_a_killed_call_left_goes(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", [("new.txt", b"1")])
    left = tmp_path / "out" / ".unpack-a.zip" / "old.txt"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    unpack(path, tmp_path / "out")
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["new.txt"]
