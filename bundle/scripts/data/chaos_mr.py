# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CHAOS abdominal MR (Kavur et al. 2021): liver, kidneys and spleen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from .folders import check_classes, dataset_folder
from .items import Item, natural_key, read_in_threads, volume_item

__all__ = ["CHAOS_MR_VALUES", "read_chaos_mr"]

CHAOS_MR_VALUES = {"liver": [1], "right kidney": [2], "left kidney": [3], "spleen": [4]}
LAYOUT = "image_<case>.nii.gz and label_<case>.nii.gz (1 liver, 2 right kidney, 3 left kidney, 4 spleen)"


def read_chaos_mr(
    dataset_dir: str | Path, classes: Iterable[str] | None = None, cases: Iterable[str | int] | None = None
) -> list[Item]:
    """Read the volumes in whichever public layout lies in the folder.

    Args:
        dataset_dir: folder of the set.
        classes: organ names; None for all four.
        cases: case ids; None for all.
    """
    values = {name: CHAOS_MR_VALUES[name] for name in check_classes(classes, list(CHAOS_MR_VALUES), "CHAOS MR")}
    root = dataset_folder(dataset_dir, "CHAOS MR", LAYOUT)
    for find_pairs in _LAYOUTS:
        pairs = find_pairs(root)
        if pairs:
            break
    else:
        raise FileNotFoundError(f"{root} has no image_<case>.nii.gz; the layout of CHAOS MR is: {LAYOUT}")
    if cases is not None:
        wanted = [str(case) for case in cases]
        absent = [case for case in wanted if case not in pairs]
        if absent:
            raise ValueError(f"{root} has no case {', '.join(absent)}; its cases are {', '.join(pairs)}")
        pairs = {case: pairs[case] for case in wanted}

    def describe(case: str) -> Item:
        return _with_classes(volume_item(*pairs[case], case, class_values=CHAOS_MR_VALUES), values)

    return read_in_threads(describe, pairs, num_threads=2)


def _with_classes(item: Item, values: dict[str, list[int]]) -> Item:
    for entry in ("classes", "slice_areas"):
        item[entry] = {name: own for name, own in item[entry].items() if name in values}
    return item


def _nifti_pairs(root: Path) -> dict[str, tuple[Path, Path]]:
    """Case -> image and label file of the converted layout."""
    pairs = {}
    for image in sorted(root.glob("image_*.nii.gz"), key=lambda path: natural_key(path.name)):
        case = image.name.removeprefix("image_").removesuffix(".nii.gz")
        label = root / f"label_{case}.nii.gz"
        if not label.is_file():
            raise FileNotFoundError(f"{image} has no label: expected {label}")
        pairs[case] = (image, label)
    return pairs


_LAYOUTS: tuple[Callable[[Path], dict[str, tuple[Path, Path]]], ...] = (_nifti_pairs,)
