# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""White blood cells (Zheng et al. 2018): nucleus, cytoplasm and the whole cell."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..items import Item, picture_item, read_in_threads
from ..mask_values import UnknownLabelError
from .folders import check_classes, dataset_folder, list_files

__all__ = ["WBC_VALUES", "read_wbc"]

WBC_VALUES = {"nucleus": [255], "cytoplasm": [128], "cell": [128, 255]}
# A few masks hold stray values: each pixel then belongs to the nearest of 0, 128 and 255.
_NEAREST = {"nucleus": range(192, 256), "cytoplasm": range(64, 192), "cell": range(64, 256)}
_SETS = {"dataset1": ("dataset1", "Dataset 1"), "dataset2": ("dataset2", "Dataset 2")}
_WRAPPERS = ("segmentation_WBC-master", "segmentation_WBC")  # the repository that the set is distributed in
LAYOUT = (
    "'Dataset 1' and 'Dataset 2' with <n>.bmp and its mask <n>.png in one folder (as distributed), or "
    "dataset1 and dataset2 with images/<n>.png and masks/<n>.png; a folder segmentation_WBC-master around them is found"
)


def read_wbc(
    dataset_dir: str | Path, classes: Iterable[str] | None = None, sets: Iterable[str] | None = None
) -> list[Item]:
    """Read the pairs.

    Args:
        dataset_dir: folder of the set.
        classes: class names; None for all three. The whole cell is nucleus and cytoplasm together.
        sets: ``dataset1``, ``dataset2``; None for what is there.
    """
    wanted = check_classes(classes, list(WBC_VALUES), "WBC")
    names = check_classes(sets, list(_SETS), "WBC (sets)")
    root = Path(dataset_dir).expanduser()
    root = next((root / entry for entry in _WRAPPERS if (root / entry).is_dir()), root)
    root = dataset_folder(root, "WBC", LAYOUT)
    pairs = [(name, *pair) for name in names for pair in _pairs(root, name)]
    if not pairs:
        raise FileNotFoundError(f"{root} holds no pair of {' or '.join(names)}; the layout of WBC is: {LAYOUT}")

    def describe(source: tuple[str, Path, Path]) -> Item:
        name, image, label = source
        case_id = f"{name}_{image.stem}"
        known = [0, 128, 255]
        try:
            values = {entry: WBC_VALUES[entry] for entry in wanted}
            return picture_item(image, label, case_id, class_values=values, known_values=known, group=name)
        except UnknownLabelError:
            nearest = {entry: list(_NEAREST[entry]) for entry in wanted}
            return picture_item(image, label, case_id, class_values=nearest, known_values=range(256), group=name)

    return read_in_threads(describe, pairs)


def _pairs(root: Path, name: str) -> list[tuple[Path, Path]]:
    """Images and masks of one set, in whichever layout it lies there; empty where it doesn't."""
    folder = next((root / entry for entry in _SETS[name] if (root / entry).is_dir()), None)
    if folder is None:
        return []
    if (folder / "images").is_dir():
        images, masks = list_files(folder / "images"), folder / "masks"
    else:
        images, masks = list_files(folder, [".bmp"]), folder
    for image in images:
        if not (masks / f"{image.stem}.png").is_file():
            raise FileNotFoundError(f"{image} has no mask: expected {masks / image.stem}.png")
    if folder == masks and (loose := {path.stem for path in list_files(folder, [".png"])} - {i.stem for i in images}):
        raise FileNotFoundError(f"the mask {folder / min(loose)}.png has no image: expected {min(loose)}.bmp beside it")
    return [(image, masks / f"{image.stem}.png") for image in images]
