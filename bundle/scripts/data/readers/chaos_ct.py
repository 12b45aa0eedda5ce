# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CHAOS abdominal CT (Kavur et al. 2021): liver, in Hounsfield units."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..items import Item, read_in_threads, volume_item
from .chaos_dicom import case_folders, choose_cases, stack_pair
from .folders import check_classes, dataset_folder

__all__ = ["CHAOS_CT_VALUES", "read_chaos_ct"]

CHAOS_CT_VALUES = {"liver": [1, 255]}  # 255 as distributed; 1 in copies that were saved as an index
LAYOUT = (
    "Train_Sets/CT/<case>/DICOM_anon/*.dcm with Ground/*.png, one picture per slice (as downloaded), or DICOM_anon and "
    "Ground of one case"
)


def read_chaos_ct(
    dataset_dir: str | Path, classes: Iterable[str] | None = None, cases: Iterable[str | int] | None = None
) -> list[Item]:
    """Read the volumes of the challenge's download, of any folder inside it, or of one case.

    Args:
        dataset_dir: folder of the set.
        classes: class names; None for the only one, the liver.
        cases: case ids (names of their folders); None for all.

    Returns:
        Volumes: ``image`` is the folder of DICOM files, ``label`` the folder of ground-truth pictures.
    """
    values = {name: CHAOS_CT_VALUES[name] for name in check_classes(classes, list(CHAOS_CT_VALUES), "CHAOS CT")}
    root = dataset_folder(dataset_dir, "CHAOS CT", LAYOUT)
    pairs = {case: stack_pair(folder) for case, folder in case_folders(root, "CT", "DICOM_anon").items()}
    if not pairs:
        raise FileNotFoundError(f"{root} has no CT/<case>/DICOM_anon; the layout of CHAOS CT is: {LAYOUT}")
    pairs = choose_cases(pairs, cases, root)
    return read_in_threads(lambda case: volume_item(*pairs[case], case, class_values=values), pairs, num_threads=2)
