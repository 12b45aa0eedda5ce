# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Is what lies in the folder complete and unharmed: counts, readable pictures, checksums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...data.items import Item
from ...data.picture_reader import PictureReader
from ...data.volume_names import is_volume_file
from ...files.atomic import write_text
from ...files.digest import file_digest
from ...files.read_json import read_text

__all__ = ["CHECKSUM_FILE", "check_checksums", "check_counts", "check_pictures", "count", "write_checksums"]

CHECKSUM_FILE = "checksums.sha256"
_NUM_THREADS = 4


def count(items: Sequence[Item]) -> dict[str, int]:
    """Images, and images per class."""
    counts = {"images": len(items)}
    for item in items:
        for name in item["classes"]:
            counts[name] = counts.get(name, 0) + 1
    return counts


def check_counts(items: Sequence[Item], expected: Mapping[str, int]) -> list[str]:
    """Say which counts differ from those of the complete set."""
    found = count(items)
    return [
        f"{found.get(name, 0)} {name if name == 'images' else f'images of {name}'}, the complete set has {number}"
        for name, number in expected.items()
        if found.get(name, 0) != number
    ]


def check_pictures(items: Sequence[Item]) -> list[str]:
    """Decode every picture (readers decode the masks, and of pictures only the header); say which can't be read."""

    def problem(item: Item) -> str | None:
        if is_volume_file(item["image"]):
            return None  # the reader has loaded it
        reader = PictureReader()
        try:
            reader.get_data(reader.read(item["image"]))
        except (OSError, ValueError) as error:
            return str(error)
        return None

    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        return [found for found in pool.map(problem, items) if found]


def write_checksums(items: Iterable[Item], root: Path, path: Path) -> Path:
    """Write the sha256 of every image and label, in the form that ``sha256sum -c`` reads from within `root`."""
    files = _files(items)
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        hashes = pool.map(file_digest, files)
        lines = [f"{digest}  {_relative(file, root)}\n" for digest, file in zip(hashes, files, strict=True)]
    return write_text(path, "".join(lines))


def check_checksums(path: Path, root: Path) -> list[str]:
    """Compare the files below `root` with a list; say which are missing or changed.

    Raises:
        ValueError: when a line of the list is not of the form of ``sha256sum``.
    """
    wanted = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name:
            raise ValueError(f"{path}, line {number}: expected a sha256, two spaces and a file name, found {line!r}")
        wanted[name] = digest

    def problem(entry: tuple[str, str]) -> str | None:
        file = root / entry[0]
        if not file.is_file():
            return f"{file} is missing, {path} lists it"
        found = file_digest(file)
        return None if found == entry[1] else f"{file} was changed: sha256 {found}, {path} says {entry[1]}"

    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        return [found for found in pool.map(problem, wanted.items()) if found]


def _files(items: Iterable[Item]) -> list[Path]:
    """Images and labels; a folder (a DICOM series, a stack of pictures) stands for the files in it."""
    paths = {Path(item[key]) for item in items for key in ("image", "label")}
    return sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def _relative(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)
