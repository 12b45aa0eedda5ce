# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""PASCAL VOC 2012 with the SBD masks, and the folds of PASCAL-5i (Shaban et al. 2017)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ...files.read_json import read_lines
from ...labels import IGNORED
from ..items import Item, picture_item, read_in_threads
from .folders import PICTURE_SUFFIXES, check_classes, dataset_folder
from .mask_index import MaskIndex

__all__ = ["VOC_CLASSES", "read_voc2012", "voc2012_classes"]

VOC_CLASSES = [
    *("aeroplane", "bicycle", "bird", "boat", "bottle"),
    *("bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person"),
    *("pottedplant", "sheep", "sofa", "train", "tvmonitor"),
]
NUM_FOLDS = 4
MASK_FOLDERS = ("SegmentationClassAug", "SegmentationClass")
LAYOUT = (
    "JPEGImages/<id>.jpg, SegmentationClassAug/<id>.png (or SegmentationClass), "
    "ImageSets/Segmentation/train.txt and val.txt"
)


def voc2012_classes(fold: int | None, part: str) -> list[str]:
    """Classes of PASCAL-5i.

    Args:
        fold: 0 to 3; None for cross-domain work, where no VOC class is held out.
        part: ``base`` (the 15 training classes) or ``novel`` (the 5 held-out ones); both are all 20 without a fold.
    """
    if part not in ("base", "novel"):
        raise ValueError(f"part is 'base' or 'novel', not {part!r}")
    if fold is None:
        return list(VOC_CLASSES)
    if fold not in range(NUM_FOLDS):
        raise ValueError(f"PASCAL-5i has no fold {fold}; choose 0 to {NUM_FOLDS - 1}, or null for all classes")
    size = len(VOC_CLASSES) // NUM_FOLDS
    novel = VOC_CLASSES[size * fold : size * (fold + 1)]
    return novel if part == "novel" else [name for name in VOC_CLASSES if name not in novel]


def read_voc2012(
    dataset_dir: str | Path,
    split: str = "train",
    classes: Iterable[str] | None = None,
    index_file: str | Path | None = None,
) -> list[Item]:
    """Read one split; images that show none of the classes are left out.

    Args:
        dataset_dir: the folder ``VOC2012``, or one of the two above it.
        split: name of a file in ImageSets/Segmentation without its suffix.
        classes: class names; None for all 20. Pixels of other classes count as background.
        index_file: where to keep what the masks hold, for a quicker next start; None for nowhere.
    """
    wanted = check_classes(classes, VOC_CLASSES, "VOC 2012")
    root = Path(dataset_dir).expanduser()
    root = next((root / name for name in ("VOC2012", "VOCdevkit/VOC2012") if (root / name).is_dir()), root)
    root = dataset_folder(root, "VOC 2012", LAYOUT, ["JPEGImages", f"ImageSets/Segmentation/{split}.txt"])
    masks = next((root / name for name in MASK_FOLDERS if (root / name).is_dir()), None)
    if masks is None:
        raise FileNotFoundError(f"{root} has neither {' nor '.join(MASK_FOLDERS)}; the layout of VOC 2012 is: {LAYOUT}")
    split_file = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    class_values = {name: [VOC_CLASSES.index(name) + 1] for name in wanted}

    def describe(name: str) -> Item:
        image, label = root / "JPEGImages" / f"{name}.jpg", masks / f"{name}.png"
        for path in (image, label):
            if not path.is_file():
                raise FileNotFoundError(f"{split_file} names {name}, but there is no {path}")
        known = range(len(VOC_CLASSES) + 1)
        return picture_item(
            image,
            label,
            name,
            class_values=class_values,
            ignore_value=IGNORED,
            known_values=known,
            masks=index,
        )

    with MaskIndex(index_file) as index:
        items = read_in_threads(describe, _names(split_file))
    return [item for item in items if item["classes"]]


def _without_suffix(name: str) -> str:
    return name.rpartition(".")[0] if name.lower().endswith(PICTURE_SUFFIXES) else name


def _names(split_file: Path) -> list[str]:
    """Image names of a split file: one a line, or SBD's ``/JPEGImages/x.jpg /SegmentationClassAug/x.png``."""
    names = [_without_suffix(Path(line.split()[0]).name) for line in read_lines(split_file)]
    if not names:
        raise ValueError(f"{split_file} is empty, expected one image name a line")
    twice = next((name for name, number in Counter(names).items() if number > 1), None)
    if twice is not None:
        raise ValueError(f"{split_file} names {twice} twice, expected each image once")
    return names
