# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""COCO (Lin et al. 2014) as class masks, and the folds of COCO-20i (Nguyen and Todorovic 2019).

Three layouts are read: the instances of the official JSON, drawn once into index pictures; index pictures that others
have drawn, beside the annotations; and a plain folder of images and index pictures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from ...files.atomic import write_text
from ...files.read_json import read_json
from ..items import Item, picture_item, read_in_threads
from .derived_masks import is_current, save_mask
from .folders import check_classes, check_stems, dataset_folder, find_file, list_files, tell_loose_masks

__all__ = ["COCO_CLASSES", "coco_classes", "draw_instances", "read_coco"]

COCO_CLASSES = [
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
    *("elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
    *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
    *("tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple"),
    *("sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch"),
    *("potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone"),
    *("microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear"),
    *("hair drier", "toothbrush"),
]
CLASS_VALUES = {name: [index + 1] for index, name in enumerate(COCO_CLASSES)}
NUM_FOLDS = 4
YEARS = ("2014", "2017")  # COCO-20i is defined on 2014
INDEX_FILE = "index.json"
LAYOUT = (
    "annotations/instances_train2014.json and train2014/<name>.jpg (and the same of val; 2017 as well), "
    "or images/<name>.jpg and masks/<name>.png with the place of the class in the list of 80, from 1"
)


class _Official(NamedTuple):
    name: str  # train2014
    images: Path
    source: Path  # the JSON of instances, or a folder of drawn masks


def coco_classes(fold: int | None, part: str) -> list[str]:
    """Classes of COCO-20i: fold i holds out every fourth class, from the i-th.

    Args:
        fold: 0 to 3; None for cross-domain work, where no class is held out.
        part: ``base`` (the 60 training classes) or ``novel`` (the 20 held-out ones); both are all 80 without a fold.
    """
    if part not in ("base", "novel"):
        raise ValueError(f"part is 'base' or 'novel', not {part!r}")
    if fold is None:
        return list(COCO_CLASSES)
    if fold not in range(NUM_FOLDS):
        raise ValueError(f"COCO-20i has no fold {fold}; choose 0 to {NUM_FOLDS - 1}, or null for all classes")
    novel = COCO_CLASSES[fold::NUM_FOLDS]
    return novel if part == "novel" else [name for name in COCO_CLASSES if name not in novel]


def read_coco(
    dataset_dir: str | Path,
    split: str = "train",
    classes: Iterable[str] | None = None,
    mask_dir: str | Path | None = None,
) -> list[Item]:
    """Read one split; images that show none of the classes are left out.

    Args:
        dataset_dir: folder of the set.
        split: ``train`` or ``val``; a plain folder of images and masks has no splits and gives all it holds for both.
        classes: class names; None for all 80. Pixels of other classes count as background.
        mask_dir: where masks are drawn to; None for ``masks`` in `dataset_dir`.
    """
    if split not in ("train", "val"):
        raise ValueError(f"COCO has the splits train and val, not {split!r}")
    wanted = check_classes(classes, COCO_CLASSES, "COCO")
    root = dataset_folder(dataset_dir, "COCO", LAYOUT)
    official = _official(root, split)
    if official is None:
        items = _plain_items(root)
    elif official.source.is_dir():
        items = _drawn_items(official.images, official.source)
    else:
        folder = (root / "masks" if mask_dir is None else Path(mask_dir).expanduser()) / official.name
        items = _instance_items(official, folder)
    return [item for item in (_with_classes(item, wanted) for item in items) if item["classes"]]


def draw_instances(
    annotations: Iterable[Mapping[str, Any]], values: Mapping[int, int], size: tuple[int, int], source: str
) -> np.ndarray:
    """Draw the instances of one image, large ones first, so that what lies on top of another stays visible.

    Crowds are drawn like single objects: their pixels belong to the class.

    Args:
        annotations: entries with ``segmentation`` (polygons, or run lengths) and ``category_id``.
        values: category id -> label value.
        size: height and width.
        source: for messages.

    Returns:
        uint8 (H, W).
    """
    shapes = []
    for annotation in annotations:
        try:
            value = values[annotation["category_id"]]
            shapes.append((value, _decode(annotation["segmentation"], *size)))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ValueError(f"{source}: annotation {annotation.get('id')} can't be drawn: {error!r}") from error
    label = np.zeros(size, np.uint8)
    for value, shape in sorted(shapes, key=lambda entry: -int(entry[1].sum())):
        label[shape] = value
    return label


def _decode(segmentation: Any, height: int, width: int) -> np.ndarray:
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        runs = coco_mask.frPyObjects(segmentation, height, width) if isinstance(counts, list) else segmentation
        if list(runs["size"]) != [height, width]:
            raise ValueError(f"run lengths of the size {runs['size']}, the image has {height} x {width}")
    else:
        if not segmentation or any(len(polygon) < 6 or len(polygon) % 2 for polygon in segmentation):
            raise ValueError("a polygon needs three or more points x, y")
        runs = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    return np.asarray(coco_mask.decode(runs), dtype=bool)


def _official(root: Path, split: str) -> _Official | None:
    """Images, and annotations or drawn masks, of the first year that is there."""
    for year in YEARS:
        name = f"{split}{year}"
        images = next((path for path in (root / name, root / "images" / name) if path.is_dir()), None)
        annotations, masks = root / "annotations" / f"instances_{name}.json", root / "annotations" / name
        if images is not None and masks.is_dir():
            return _Official(name, images, masks)
        if annotations.is_file():
            if images is None:
                raise FileNotFoundError(f"{annotations} is there, but no folder {name} of images in {root}")
            return _Official(name, images, annotations)
    return None


def _plain_items(root: Path) -> list[Item]:
    images, masks = root / "images", root / "masks"
    if not (images.is_dir() and masks.is_dir()):
        raise FileNotFoundError(
            f"{root} holds no annotations, and no images and masks; the layout of COCO is: {LAYOUT}"
        )
    return _drawn_items(images, masks)


def _drawn_items(images: Path, masks: Path) -> list[Item]:
    files = list_files(images)
    if not files:
        raise FileNotFoundError(f"{images} holds no pictures; the layout of COCO is: {LAYOUT}")
    check_stems(files)
    labels = {image: find_file(masks, [f"{image.stem}.png"], f"{image} has no mask") for image in files}
    tell_loose_masks(list_files(masks), labels.values())
    return read_in_threads(
        lambda image: picture_item(image, labels[image], image.stem, class_values=CLASS_VALUES), files
    )


def _instance_items(official: _Official, folder: Path) -> list[Item]:
    """Draw the masks of a whole split, or read the index of those that were drawn before."""
    index = folder / INDEX_FILE
    if is_current(index, [official.source]):
        items = read_json(index)
    else:
        items = _draw_split(official.images, official.source, folder)
        places = {"image": official.images, "label": folder}
        compact = [{**item, **{key: _below(item[key], place) for key, place in places.items()}} for item in items]
        write_text(index, json.dumps(compact))
        return items
    return [
        {**item, "image": str(official.images / item["image"]), "label": str(folder / item["label"])} for item in items
    ]


def _draw_split(images: Path, annotations: Path, folder: Path) -> list[Item]:
    content = _read_instances(annotations)
    values = _category_values(content["categories"], annotations)
    sizes = {entry["id"]: (entry["file_name"], entry["height"], entry["width"]) for entry in content["images"]}
    own: dict[int, list[Mapping[str, Any]]] = {}
    for annotation in content["annotations"]:
        if annotation.get("image_id") not in sizes:
            raise ValueError(
                f"{annotations}: annotation {annotation.get('id')} belongs to image {annotation.get('image_id')}, "
                "which isn't listed"
            )
        own.setdefault(annotation["image_id"], []).append(annotation)

    pictures = _pictures({image_id: sizes[image_id][0] for image_id in own}, images, annotations)

    def describe(image_id: int) -> Item:
        _, height, width = sizes[image_id]
        image = pictures[image_id]
        case_id = str(Path(_below(image, images)).with_suffix(""))
        label = folder / f"{case_id}.png"
        if not is_current(label, [annotations]):
            source = f"{annotations}, image {image_id}"
            save_mask(label, draw_instances(own[image_id], values, (height, width), source))
        return picture_item(image, label, case_id, class_values=CLASS_VALUES)

    return read_in_threads(describe, sorted(own))


def _pictures(names: Mapping[int, str], images: Path, annotations: Path) -> dict[int, Path]:
    """The file of every image: its name with its folders, or the bare name where an export moved all into one folder.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when two images mean the same file, or files that differ in the suffix only.
    """
    found: dict[int, Path] = {}
    seen: dict[str, str] = {}
    for image_id, name in names.items():
        bare = PureWindowsPath(name).name
        found[image_id] = find_file(images, list(dict.fromkeys((name, bare))), f"{annotations} lists image {image_id}")
        other = seen.setdefault(str(found[image_id].with_suffix("")), name)
        if other != name or list(names.values()).count(name) > 1:
            raise ValueError(
                f"{annotations} lists two images, {other} and {name}, that mean the same picture {found[image_id]}; "
                "expected a file of its own for each"
            )
    return found


def _below(path: str | Path, folder: Path) -> str:
    """Name of a file with the folders between it and the given one."""
    return Path(path).relative_to(folder).as_posix()


def _read_instances(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = read_json(path)
    keys = {"images": ("id", "file_name", "height", "width"), "annotations": (), "categories": ("id", "name")}
    for key, needed in keys.items():
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise ValueError(f"{path} has no list {key!r}, as a file of instances has")
        for entry in content[key]:
            absent = [name for name in needed if name not in entry]
            if absent:
                raise ValueError(f"{path}: an entry of {key!r} has no {', '.join(absent)}: {entry}")
    return content


def _category_values(categories: Iterable[Mapping[str, Any]], path: Path) -> dict[int, int]:
    unknown = [entry["name"] for entry in categories if entry["name"] not in CLASS_VALUES]
    if unknown:
        raise ValueError(f"{path} has the category {unknown[0]!r}, which is none of the 80 of COCO")
    return {entry["id"]: CLASS_VALUES[entry["name"]][0] for entry in categories}


def _with_classes(item: Item, wanted: Iterable[str]) -> Item:
    kept = [name for name in wanted if name in item["classes"]]
    parts = {key: {name: item[key][name] for name in kept} for key in ("classes", "areas")}
    return {**item, **parts}
