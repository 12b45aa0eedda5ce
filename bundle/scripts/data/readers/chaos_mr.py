# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CHAOS abdominal MR (Kavur et al. 2021): liver, kidneys and spleen."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ...files.natural_order import natural_key
from ..items import Item, read_in_threads, volume_item
from .chaos_dicom import case_folders, choose_cases, keep_classes, stack_pair
from .folders import check_classes, dataset_folder

__all__ = ["CHAOS_MR_GREYS", "CHAOS_MR_SEQUENCES", "CHAOS_MR_VALUES", "read_chaos_mr"]

CHAOS_MR_VALUES = {"liver": [1], "right kidney": [2], "left kidney": [3], "spleen": [4]}
CHAOS_MR_GREYS = {
    "liver": list(range(55, 71)),
    "right kidney": list(range(110, 136)),
    "left kidney": list(range(175, 201)),
    "spleen": list(range(240, 256)),
}
"""Ranges of the organisers' ground-truth pictures."""
CHAOS_MR_SEQUENCES = {
    "T2SPIR": ("T2SPIR", ""),
    "T1DUAL_InPhase": ("T1DUAL", "InPhase"),
    "T1DUAL_OutPhase": ("T1DUAL", "OutPhase"),
}
"""Sequence -> its folder in a case, and the folder inside ``DICOM_anon``."""
LAYOUT = (
    "image_<case>.nii.gz and label_<case>.nii.gz (1 liver, 2 right kidney, 3 left kidney, 4 spleen), or "
    "Train_Sets/MR/<case>/{T1DUAL,T2SPIR}/DICOM_anon/*.dcm with Ground/*.png (as downloaded)"
)
_CONVERTED = "T2SPIR"  # the sequence of the converted volumes


def read_chaos_mr(
    dataset_dir: str | Path,
    classes: Iterable[str] | None = None,
    cases: Iterable[str | int] | None = None,
    sequence: str = "T2SPIR",
) -> list[Item]:
    """Read the volumes in whichever public layout lies in the folder.

    Args:
        dataset_dir: folder of the set.
        classes: organ names; None for all four.
        cases: case ids; None for all.
        sequence: ``T2SPIR``, ``T1DUAL_InPhase`` or ``T1DUAL_OutPhase``; converted volumes are T2SPIR.

    Returns:
        Volumes; of the download, ``image`` is the folder of DICOM files, ``label`` the folder of ground-truth pictures.
    """
    names = check_classes(classes, list(CHAOS_MR_VALUES), "CHAOS MR")
    check_classes([sequence], list(CHAOS_MR_SEQUENCES), "CHAOS MR (sequences)")
    root = dataset_folder(dataset_dir, "CHAOS MR", LAYOUT)
    pairs, values = _nifti_pairs(root), CHAOS_MR_VALUES
    if pairs and sequence != _CONVERTED:
        raise ValueError(f"{root} holds converted volumes, which are {_CONVERTED}; {sequence} is in the download only")
    if not pairs:
        pairs, values = _downloaded_pairs(root, sequence), CHAOS_MR_GREYS
    if not pairs:
        raise FileNotFoundError(
            f"{root} has no image_<case>.nii.gz and no MR/<case>/{CHAOS_MR_SEQUENCES[sequence][0]}; "
            f"the layout of CHAOS MR is: {LAYOUT}"
        )
    pairs = choose_cases(pairs, cases, root)

    def describe(case: str) -> Item:
        return keep_classes(volume_item(*pairs[case], case, class_values=values), names)

    return read_in_threads(describe, pairs, num_threads=2)


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


def _downloaded_pairs(root: Path, sequence: str) -> dict[str, tuple[Path, Path]]:
    """Case -> folders of the images and of the ground truth."""
    folder, part = CHAOS_MR_SEQUENCES[sequence]
    cases = case_folders(root, "MR", folder)
    return {case: stack_pair(path / folder, part) for case, path in cases.items()}
