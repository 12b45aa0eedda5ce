# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CHAOS as downloaded (Kavur et al. 2021): a folder per case, DICOM files beside a folder of ground-truth pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ...files.natural_order import natural_key
from ..items import Item

__all__ = ["GROUND", "case_folders", "choose_cases", "keep_classes", "stack_pair"]

GROUND = "Ground"
_IMAGES = "DICOM_anon"
_ABOVE = ("", "Train_Sets", "CHAOS_Train_Sets/Train_Sets")


def case_folders(root: Path, modality: str, marker: str) -> dict[str, Path]:
    """Case -> folder, in natural order.

    Args:
        root: the unpacked download, its ``Train_Sets``, the folder of one modality, or that of one case.
        modality: ``MR`` or ``CT``.
        marker: folder that every case has.
    """
    if (root / marker).is_dir():
        return {root.absolute().name: root}
    for folder in (*(root / above / modality for above in _ABOVE), root):
        if not folder.is_dir():
            continue
        cases = sorted(
            (path for path in folder.iterdir() if (path / marker).is_dir()), key=lambda p: natural_key(p.name)
        )
        if cases:
            return {path.name: path for path in cases}
    return {}


def stack_pair(folder: Path, part: str = "") -> tuple[Path, Path]:
    """The folders of a case's DICOM files and of its ground truth.

    Args:
        folder: holds ``DICOM_anon`` and ``Ground``.
        part: folder inside ``DICOM_anon``.

    Raises:
        FileNotFoundError: when one is missing, as the ground truth is of the challenge's test cases.
    """
    images, ground = folder / _IMAGES / part, folder / GROUND
    for path, what in ((images, "DICOM files"), (ground, "ground truth (test cases of the challenge have none)")):
        if not path.is_dir():
            raise FileNotFoundError(f"{folder} has no {what}: expected the folder {path}")
    return images, ground


def choose_cases(
    pairs: Mapping[str, tuple[Path, Path]], cases: Iterable[str | int] | None, root: Path
) -> dict[str, tuple[Path, Path]]:
    """The wanted cases, all for None; a ValueError names those that aren't there."""
    if cases is None:
        return dict(pairs)
    wanted = [str(case) for case in cases]
    absent = [case for case in wanted if case not in pairs]
    if absent:
        raise ValueError(f"{root} has no case {', '.join(absent)}; its cases are {', '.join(pairs)}")
    return {case: pairs[case] for case in wanted}


def keep_classes(item: Item, names: Sequence[str]) -> Item:
    """The item with the named classes only."""
    for entry in ("classes", "slice_areas"):
        item[entry] = {name: own for name, own in item[entry].items() if name in names}
    return item
