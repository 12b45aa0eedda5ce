# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""ISIC 2018 task 1 (Codella et al. 2018): skin lesions, by diagnosis where a table of classes is there."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path

from ...files.listing import visible_folders
from ...files.read_json import read_lines
from ..items import Item, binary_picture_item, read_in_threads
from .folders import check_classes, dataset_folder, find_file, list_files
from .mask_index import MaskIndex

__all__ = ["ISIC_CLASSES", "LESION", "read_isic2018"]

ISIC_CLASSES = ("nevus", "melanoma", "seborrheic_keratosis")
LESION = "lesion"
IMAGE_FOLDER = "ISIC2018_Task1-2_Training_Input"
MASK_FOLDER = "ISIC2018_Task1_Training_GroundTruth"
CLASS_TABLE = "class_id.csv"
WRAPPER = "ISIC"  # PATNet
LAYOUT = (
    f"{IMAGE_FOLDER}/ISIC_<n>.jpg (or folders of diagnoses below it), {MASK_FOLDER}/ISIC_<n>_segmentation.png, and "
    f"{CLASS_TABLE} with the columns ID and Class for the three diagnoses; a folder ISIC around them is found as well"
)


def read_isic2018(
    dataset_dir: str | Path,
    classes: Iterable[str] | None = None,
    class_table: str | Path | None = None,
    folder_classes: Mapping[str, str] | None = None,
    index_file: str | Path | None = None,
) -> list[Item]:
    """Read the pairs of the training set.

    The diagnosis comes by name from the table of classes, or from the name of the folder that an image lies in. Without
    either there is a single class ``lesion``.

    Args:
        dataset_dir: folder of the set.
        classes: diagnoses to keep; None for all.
        class_table: csv with the columns ID and Class; None looks for ``class_id.csv`` in the folder.
        folder_classes: folder -> diagnosis, for folders that aren't named for it (PATNet's are 1, 2 and 3) and where
            there is no table.
        index_file: where to keep what the masks hold, for a quicker next start; None for nowhere.
    """
    root = Path(dataset_dir).expanduser()
    if (root / WRAPPER).is_dir():
        root = root / WRAPPER
    root = dataset_folder(root, "ISIC 2018", LAYOUT, [IMAGE_FOLDER, MASK_FOLDER])
    images = _images(root / IMAGE_FOLDER)
    diagnoses = _diagnoses(images, root, class_table, folder_classes or {})
    wanted = check_classes(classes, [LESION] if diagnoses is None else list(ISIC_CLASSES), "ISIC 2018")

    def describe(image: Path) -> Item:
        below = f"{image.parent.name}/" if (root / MASK_FOLDER / image.parent.name).is_dir() else ""
        names = [f"{below}{image.stem}_segmentation.png", f"{image.stem}_segmentation.png", f"{image.stem}.png"]
        mask = find_file(root / MASK_FOLDER, list(dict.fromkeys(names)), f"{image} has no mask")
        name = LESION if diagnoses is None else diagnoses[image.stem]
        return binary_picture_item(image, mask, image.stem, class_name=name, masks=masks, group=name)

    chosen = [image for image in images if diagnoses is None or diagnoses[image.stem] in wanted]
    with MaskIndex(index_file) as masks:
        return read_in_threads(describe, chosen)


def _images(folder: Path) -> list[Path]:
    places = (folder, *visible_folders(folder))
    images = sorted([path for place in places for path in list_files(place)], key=lambda path: path.name)
    twice = next((one for one, other in itertools.pairwise(images) if one.stem == other.stem), None)
    if twice is not None:
        raise ValueError(f"{folder} holds two pictures named {twice.stem}, expected each once")
    if not images:
        raise FileNotFoundError(f"{folder} holds no pictures; the layout of ISIC 2018 is: {LAYOUT}")
    return images


def _diagnoses(
    images: list[Path], root: Path, class_table: str | Path | None, folder_classes: Mapping[str, str]
) -> dict[str, str] | None:
    """Image name -> diagnosis, from the table or the folders; None where neither tells."""
    table = root / CLASS_TABLE if class_table is None else Path(class_table).expanduser()
    if not table.is_file():
        if class_table is not None:
            raise FileNotFoundError(f"no table of classes {table}")
        folders = {image.parent.name for image in images} - {IMAGE_FOLDER}
        if not folders:
            return None
        loose = [image for image in images if image.parent.name == IMAGE_FOLDER]
        if loose:
            raise ValueError(f"{loose[0]} lies in no folder of a diagnosis, as {len(images) - len(loose)} others do")
        names = [folder_classes.get(folder, folder) for folder in sorted(folders)]
        hint = f"{root} without {CLASS_TABLE} (add it, or tell folder_classes), which gets classes from folders,"
        check_classes(names, ISIC_CLASSES, hint)
        return {image.stem: folder_classes.get(image.parent.name, image.parent.name) for image in images}
    lines = read_lines(table)
    rows = list(csv.DictReader(lines, delimiter=";" if lines and ";" in lines[0] else ","))
    if not rows or not {"ID", "Class"} <= set(rows[0]):
        raise ValueError(f"{table} needs the columns ID and Class, it has: {', '.join(rows[0]) if rows else 'no row'}")
    diagnoses = {str(row["ID"]).strip(): str(row["Class"]).strip() for row in rows}
    for image in images:
        found = diagnoses.get(image.stem)
        if found not in ISIC_CLASSES:
            raise ValueError(f"{table} gives {image.stem} the class {found!r}; expected {', '.join(ISIC_CLASSES)}")
    return diagnoses
