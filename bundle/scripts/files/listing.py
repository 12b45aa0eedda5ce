# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From a folder to its files, and from a name in a list to a file: the one way for every reader.

What desktops and file systems leave in a folder is passed over (dot files, AppleDouble files, thumbnails, lock files).
A link keeps its own name: that of its target may be a hash. Names are compared in one Unicode form, as a list from
Linux and a folder from a Mac spell the same letters differently.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PureWindowsPath

__all__ = ["file_of", "is_litter", "plain_name", "plain_stem", "visible_files", "visible_folders", "without_results"]

_LITTER = ("thumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle", "lost+found", "$recycle.bin")
_LITTER_STARTS = (".", "~$", "._")
_RESULT_ENDINGS = ("_seg", "_probability")


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is a desktop's, not the user's."""
    return name.startswith(_LITTER_STARTS) or name.lower() in _LITTER


def visible_files(folder: Path, suffixes: Sequence[str] = ()) -> list[Path]:
    """Files of a folder but for litter, sorted by name.

    Args:
        folder: must exist.
        suffixes: in lower case; files with one of them, in upper or lower case. Empty: all files.
    """
    files = (path for path in folder.iterdir() if path.is_file() and not is_litter(path.name))
    return sorted(path for path in files if not suffixes or path.name.lower().endswith(tuple(suffixes)))


def visible_folders(folder: Path) -> list[Path]:
    """Folders of a folder but for litter, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_litter(path.name))


def plain_name(name: str) -> str:
    """A name in composed Unicode (NFC), under which two spellings of it are equal."""
    return unicodedata.normalize("NFC", name)


def plain_stem(path: str | Path) -> str:
    """Name without the last suffix, see `plain_name`."""
    return plain_name(Path(path).stem)


def file_of(root: Path, name: str | Path) -> Path:
    """The file or folder that a name in a list means.

    Args:
        root: folder that relative names start from.
        name: with ``/`` or, in lists from Windows, with backslashes; ``~`` is the home folder.

    Returns:
        The path, not resolved, so that a link keeps its name; the first of these that exists: the name as it is, with
        slashes, with every part in the folder's own spelling. The first if none does.
    """
    first = root / Path(name).expanduser()
    if first.exists():
        return first
    slashed = root / Path(PureWindowsPath(str(name)).as_posix()).expanduser() if "\\" in str(name) else first
    if slashed.exists():
        return slashed
    spelled = _own_spelling(slashed)
    return first if spelled is None else spelled


def without_results(paths: Iterable[Path], stems: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """Separate what an earlier run wrote beside its images.

    Args:
        paths: files and folders.
        stems: their names without suffix, in the same order.

    Returns:
        The images, and the results: those named ``<image>_seg`` or ``<image>_probability`` of another one of them.
    """
    known = set(stems)
    images: list[Path] = []
    results: list[Path] = []
    for path, stem in zip(paths, stems, strict=True):
        is_result = any(stem.endswith(end) and stem[: -len(end)] in known for end in _RESULT_ENDINGS)
        (results if is_result else images).append(path)
    return images, results


def _own_spelling(path: Path) -> Path | None:
    """The path with every part as its folder spells it, compared in one Unicode form; None where a part is missing."""
    parts = path.parts
    found = Path(parts[0]) if parts else path
    if not path.is_absolute():
        found, parts = Path(), ("", *parts)
    for part in parts[1:]:
        here = found / part
        if not here.exists():
            if not found.is_dir():
                return None
            wanted = plain_name(part)
            same = next((entry for entry in found.iterdir() if plain_name(entry.name) == wanted), None)
            if same is None:
                return None
            here = same
        found = here
    return found
