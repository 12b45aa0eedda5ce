# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A folder of one's own images and masks: pictures or NIfTI volumes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...files.listing import plain_name, without_results
from ...files.natural_order import natural_key
from ...files.read_json import read_json
from ..items import Item, Values, binary_picture_item, picture_item, read_in_threads, volume_item
from ..mask_values import is_one_class
from ..volume_names import is_volume_file, volume_stem
from .folders import PICTURE_SUFFIXES, dataset_folder, list_files

__all__ = ["CHANNEL_ENDING", "class_values_of", "read_image_folder"]

IMAGE_FOLDERS = ("images", "imagesTr", "image", "img")
LABEL_FOLDERS = ("labels", "masks", "labelsTr", "label", "mask")
CLASS_FILE = "classes.json"
_VOLUME_SUFFIXES = (".nii.gz", ".nii")
_LABEL_ENDINGS = ("", "_mask", "_seg", "_label", "_segmentation")
CHANNEL_ENDING = "_0000"  # nnU-Net: image of the first channel
LAYOUT = (
    f"one of the folders {', '.join(IMAGE_FOLDERS)} and one of {', '.join(LABEL_FOLDERS)}, with pictures or .nii.gz "
    f"files of the same names (labels may end in {', '.join(filter(None, _LABEL_ENDINGS))}); and perhaps {CLASS_FILE}: "
    '["liver", "spleen"] for the values 1 and 2, or {"liver": 1, "spleen": [2, 3]}'
)


def read_image_folder(
    dataset_dir: str | Path,
    class_names: Sequence[str] | Mapping[str, Any] | None = None,
    ignore_value: int | None = None,
) -> list[Item]:
    """Read the pairs.

    Args:
        dataset_dir: folder with images and labels.
        class_names: names of the label values 1, 2, …; or name -> value or values. None reads ``classes.json`` in the
            folder, and without it makes up ``class_1``, …. A single name also fits masks of 0 and 255.
        ignore_value: label value of pixels that count neither as foreground nor as background (pictures only).
    """
    root = dataset_folder(dataset_dir, "images", LAYOUT)
    images, labels = _folder(root, IMAGE_FOLDERS), _folder(root, LABEL_FOLDERS)
    if class_names is None:
        values = class_values_of(_read_classes(root / CLASS_FILE), str(root / CLASS_FILE))
    else:
        values = class_values_of(class_names, "class_names")
    pairs = _pairs(images, labels)

    def describe(case_id: str) -> Item:
        image, label = pairs[case_id]
        if is_volume_file(image):
            return volume_item(image, label, case_id, class_values=values)
        if values is not None and is_one_class(values) and ignore_value is None:
            return binary_picture_item(image, label, case_id, class_name=next(iter(values)))
        return picture_item(image, label, case_id, class_values=values, ignore_value=ignore_value)

    return read_in_threads(describe, sorted(pairs, key=natural_key))


def class_values_of(names: Sequence[str] | Mapping[str, Any] | None, source: str) -> Values | None:
    """Bring names of classes to name -> label values.

    Args:
        names: a list (values 1, 2, …), name -> value or values, or the labels of a Decathlon file, value -> name. A
            background with the value 0 is left out.
        source: where they come from, for messages.
    """
    if names is None:
        return None
    if isinstance(names, Mapping):
        entries = [_entry(key, value, source) for key, value in names.items()]
    elif isinstance(names, Sequence) and not isinstance(names, str):
        entries = [(name, [index]) for index, name in enumerate(names, start=1)]
    else:
        raise ValueError(f"{source} is {names!r}, expected a list of names or a table of names and label values")
    result: dict[str, list[int]] = {}
    for name, values in entries:
        if values == [0]:
            continue
        if not isinstance(name, str) or not name or name in result:
            raise ValueError(f"{source} has the class name {name!r} twice, or it is no text: {names}")
        if not values or not all(isinstance(value, int) and 0 < value < 256 for value in values):
            raise ValueError(f"{source} gives {name!r} the label values {values}, expected whole numbers from 1 to 255")
        result[name] = values
    if not result:
        raise ValueError(f"{source} names no class")
    return result


def _entry(key: Any, value: Any, source: str) -> tuple[Any, Any]:
    """Either ``name: value(s)``, as numbers or as text, or, as in the Decathlon, ``"1": name``."""
    if isinstance(value, str) and str(key).isdigit() and not value.isdigit():
        return value, [int(key)]
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, list) and all(isinstance(part, str) and part.isdigit() for part in value):
        value = [int(part) for part in value]
    if isinstance(value, bool) or not isinstance(value, (int, list)):
        raise ValueError(f"{source} has the entry {key!r}: {value!r}, expected a name and its label value")
    return key, value if isinstance(value, list) else [value]


def _read_classes(path: Path) -> Any:
    return read_json(path) if path.is_file() else None


def _folder(root: Path, names: Sequence[str]) -> Path:
    found = [root / name for name in names if (root / name).is_dir()]
    if len(found) != 1:
        shown = " and ".join(path.name for path in found) if found else f"none of {', '.join(names)}"
        raise FileNotFoundError(f"{root} has {shown}, expected one of them; the layout is: {LAYOUT}")
    return found[0]


def _pairs(images: Path, labels: Path) -> dict[str, tuple[Path, Path]]:
    """Case id -> image and label. An image without a label is an error; a label without an image too."""
    image_of, label_of = _by_stem(images), _by_stem(labels)
    kept, results = without_results(image_of.values(), list(image_of))
    if results:
        logging.getLogger(__name__).info("%s: results of an earlier run are passed over: %s", images, len(results))
    image_of = {stem: path for stem, path in image_of.items() if path in kept}
    if not image_of:
        raise FileNotFoundError(f"{images} holds no pictures and no .nii.gz files; the layout is: {LAYOUT}")
    pairs: dict[str, tuple[Path, Path]] = {}
    used = set()
    for stem, image in image_of.items():
        case_id = stem.removesuffix(CHANNEL_ENDING)
        candidates = [f"{base}{ending}" for base in dict.fromkeys((stem, case_id)) for ending in _LABEL_ENDINGS]
        match = next((name for name in candidates if name in label_of), None)
        if match is None:
            raise FileNotFoundError(f"{image} has no label: none of {', '.join(candidates)} in {labels}")
        if is_volume_file(image) != is_volume_file(label_of[match]):
            raise ValueError(f"{image} and its label {label_of[match]} must both be pictures or both be NIfTI volumes")
        if case_id in pairs:
            raise ValueError(f"{images} holds two images of the case {case_id}: {pairs[case_id][0]} and {image}")
        pairs[case_id] = (image, label_of[match])
        used.add(match)
    unused = sorted(set(label_of) - used)
    if unused:
        raise FileNotFoundError(f"{label_of[unused[0]]} has no image in {images}")
    return pairs


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    listed = list_files(folder, (*PICTURE_SUFFIXES, *_VOLUME_SUFFIXES))
    stems = [plain_name(volume_stem(path) if is_volume_file(path) else path.stem) for path in listed]
    for path, stem in zip(listed, stems, strict=True):
        if stem in files:
            raise ValueError(f"{folder} holds two files named {stem}: {files[stem].name} and {path.name}")
        files[stem] = path
    return files
