# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Unpacking of archives from elsewhere: nothing outside the folder, no links, no bombs, all or nothing."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, NamedTuple

__all__ = ["unpack"]

_CHUNK = 2**20
_SKIPPED = ("__MACOSX", ".DS_Store")
_ENCRYPTED = 0x1
_BAD = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError, RuntimeError, ValueError)


class _Member(NamedTuple):
    name: str
    size: int
    kind: str  # "file", "folder", or what is refused
    entry: zipfile.ZipInfo | tarfile.TarInfo


def unpack(
    archive: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    largest: int = 200 * 2**30,
    most_files: int = 2_000_000,
    ratio: int = 200,
) -> int:
    """Unpack a zip or (compressed) tar into a folder; files of the same name are replaced.

    Everything is unpacked into a draft folder first; when one entry is refused, or the archive is damaged, nothing is
    left.

    Args:
        archive: zip, tar, tar.gz, tar.bz2 or tar.xz, told by its content.
        folder: made if missing.
        largest: bytes that the content may take.
        most_files: entries that it may have.
        ratio: times the size of the archive that the content may take, beyond a first MiB.

    Returns:
        The number of files.

    Raises:
        ValueError: naming the archive and the entry: an absolute name, one that leads outside, a link or device, the
            same name twice, too large, encrypted or damaged.
    """
    archive, folder = Path(archive), Path(folder)
    limit = min(largest, 2**20 + ratio * archive.stat().st_size)
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".unpack-{archive.name}"
    shutil.rmtree(draft, ignore_errors=True)  # of a call that was killed
    draft.mkdir()
    try:
        count = _unpack_to(archive, draft, limit, most_files)
        for path in sorted(path for path in draft.rglob("*") if path.is_file()):
            target = folder / path.relative_to(draft)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
        return count
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _unpack_to(archive: Path, draft: Path, limit: int, most_files: int) -> int:
    count, left, seen = 0, limit, set()
    try:
        for number, (member, stream) in enumerate(_members(archive)):
            if number >= most_files:
                raise _RefusedError(f"it has more than {most_files} entries")
            parts = _safe_parts(member)
            if member.kind == "folder" or any(part in _SKIPPED for part in parts):
                continue
            if member.kind != "file":
                raise _RefusedError(f"the entry {member.name!r} is a {member.kind}")
            if parts in seen:
                raise _RefusedError(f"it has the entry {member.name!r} twice")
            seen.add(parts)
            if member.size > left:
                raise _RefusedError(f"its content takes more than {limit} bytes")
            target = draft.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            assert stream is not None
            left -= _copy(stream, target, left, limit)
            count += 1
    except _RefusedError as refused:
        raise ValueError(f"{archive} is refused: {refused}; nothing was unpacked") from None
    except _BAD as error:
        reason = str(error).partition("\n")[0].rstrip(":")  # tarfile lists every way that it tried
        raise ValueError(f"{archive} is damaged, or no zip or tar: {reason}; nothing was unpacked") from error
    if not count:
        raise ValueError(f"{archive} holds no file")
    return count


class _RefusedError(Exception):
    pass


def _members(archive: Path) -> Iterator[tuple[_Member, IO[bytes] | None]]:
    """Entries with their open content, one after the other (a compressed tar can only be read in order)."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                member = _Member(info.filename, info.file_size, _zip_kind(info), info)
                if member.kind != "file":
                    yield member, None
                    continue
                with packed.open(info) as stream:
                    yield member, stream
    else:
        with tarfile.open(archive, "r:*") as packed_tar:
            for entry in packed_tar:
                member = _Member(entry.name, entry.size, _tar_kind(entry), entry)
                yield member, packed_tar.extractfile(entry) if member.kind == "file" else None


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "link"
    if info.flag_bits & _ENCRYPTED:
        return "encrypted file"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "device"
    return "folder" if info.is_dir() else "file"


def _tar_kind(entry: tarfile.TarInfo) -> str:
    if entry.islnk() or entry.issym():
        return "link"
    return "folder" if entry.isdir() else "file" if entry.isreg() else "device"


def _safe_parts(member: _Member) -> tuple[str, ...]:
    """Parts of the name, on no system leading out of the folder."""
    name = member.name
    parts = tuple(part for part in PurePosixPath(name).parts if part != ".")
    windows = PureWindowsPath(name)
    if name.startswith("/") or windows.drive or windows.root or "\\" in name or "\0" in name or ".." in parts:
        raise _RefusedError(f"the entry {name!r} leads outside the folder")
    if not parts and member.kind != "folder":
        raise _RefusedError("an entry has no name")
    return parts


def _copy(stream: IO[bytes], target: Path, left: int, limit: int) -> int:
    """Write an entry, counting what really comes: a header may tell less."""
    written = 0
    with target.open("wb") as file:
        while piece := stream.read(_CHUNK):
            written += len(piece)
            if written > left:
                raise _RefusedError(f"its content takes more than {limit} bytes")
            file.write(piece)
    return written
