# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Checks that every reader makes on the folder of its data set."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...files.listing import file_of, plain_stem, visible_files

__all__ = [
    "check_classes",
    "check_stems",
    "dataset_folder",
    "find_file",
    "list_files",
    "require_dataset_dir",
    "tell_loose_masks",
]

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def require_dataset_dir(dataset_dir: str | Path | None, dataset_name: str) -> None:
    """Refuse to start where an overlay names a data set and nobody said where it lies.

    Raises:
        ValueError: naming the key to give.
    """
    if dataset_dir is None:
        raise ValueError(f"dataset_dir is not given: say where data set {dataset_name} lies, with --dataset_dir FOLDER")


def dataset_folder(dataset_dir: str | Path, name: str, layout: str, required: Iterable[str] = ()) -> Path:
    """Return the folder as a Path.

    Raises:
        FileNotFoundError: when it, or one of the `required` names in it, is missing; the message tells the layout.
    """
    folder = Path(dataset_dir).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"dataset_dir {folder} of {name} is not a folder; expected there: {layout}")
    missing = [entry for entry in required if not (folder / entry).exists()]
    if missing:
        raise FileNotFoundError(f"{folder} has no {', no '.join(missing)}; the layout of {name} is: {layout}")
    return folder


def list_files(folder: Path, suffixes: Sequence[str] = PICTURE_SUFFIXES) -> list[Path]:
    """Visible files with one of the suffixes (upper case or lower case), sorted by name."""
    return visible_files(folder, suffixes)


def find_file(folder: Path, names: Sequence[str], reason: str) -> Path:
    """The first of `names` in the folder; a FileNotFoundError that gives the reason when none is there."""
    for name in names:
        if (found := file_of(folder, name)).is_file():
            return found
    raise FileNotFoundError(f"{reason}: no {' or '.join(names)} in {folder}")


def check_classes(classes: Iterable[str] | None, known: Sequence[str], name: str) -> list[str]:
    """The wanted classes, all for None; a ValueError names unknown ones."""
    wanted = list(known) if classes is None else list(classes)
    unknown = [entry for entry in wanted if entry not in known]
    if unknown:
        raise ValueError(f"{name} has no class {', '.join(map(repr, unknown))}; its classes are {', '.join(known)}")
    return wanted


def tell_loose_masks(masks: Iterable[Path], used: Iterable[Path]) -> None:
    """Log masks that no picture belongs to: a name is misspelt, or pictures are missing."""
    loose = sorted(set(masks) - set(used))
    if loose:
        logging.getLogger(__name__).warning(
            "%d mask(s) in %s have no picture and are left out, the first is %s",
            len(loose),
            loose[0].parent,
            loose[0].name,
        )


def check_stems(files: Iterable[Path]) -> None:
    """Refuse two pictures whose names differ in the suffix only: they would share one mask and one case id."""
    seen: dict[str, Path] = {}
    for path in files:
        other = seen.setdefault(plain_stem(path), path)
        if other != path:
            raise ValueError(f"{path.parent} holds two pictures named {path.stem}: {other.name} and {path.name}")
