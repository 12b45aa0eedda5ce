# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Lungs in chest X-rays: the Shenzhen and Montgomery sets (Jaeger et al. 2014, Candemir et al. 2014)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..items import Item, binary_picture_item, read_in_threads
from .derived_masks import MERGED_FOLDER, merge_masks
from .folders import dataset_folder, list_files

__all__ = ["read_chest_xray"]

LUNG = "lung"
IMAGE_FOLDERS = ("images", "CXR_png")
MASK_FOLDERS = ("masks", "mask/mask", "mask")
MASK_SUFFIXES = ("_mask.png", ".png")
# Folders that the pictures of one or several sets lie in, as Kaggle and the National Library of Medicine pack them.
PLACES = (
    *(".", "Lung Segmentation", "data/Lung Segmentation"),
    *("MontgomerySet", "Montgomery/MontgomerySet", "NLM-MontgomeryCXRSet/MontgomerySet", "ChinaSet_AllFiles"),
)
SIDES = ("ManualMask/leftMask", "ManualMask/rightMask")
LAYOUT = (
    "images/<name>.jpg or CXR_png/<name>.png, and masks/<name>_mask.png (Shenzhen), masks/<name>.png (Montgomery on "
    "Kaggle) or ManualMask/{leftMask,rightMask}/<name>.png (Montgomery); also in the folders 'Lung Segmentation', "
    "MontgomerySet and ChinaSet_AllFiles, the latter with masks in a folder mask beside it"
)

logger = logging.getLogger(__name__)


class _Place(NamedTuple):
    images: Path
    masks: list[Path]  # folders with one mask per image
    sides: list[Path]  # folders with the left and with the right lung


def read_chest_xray(dataset_dir: str | Path, mask_dir: str | Path | None = None) -> list[Item]:
    """Read the pairs; X-rays without a mask (Shenzhen has a hundred) are left out, their number is logged.

    Args:
        dataset_dir: folder of the set, or of both sets.
        mask_dir: where the masks of left and right lung are merged to; None for ``merged_masks`` in `dataset_dir`.
    """
    root = dataset_folder(dataset_dir, "the chest X-ray set", LAYOUT)
    merged = root / MERGED_FOLDER if mask_dir is None else Path(mask_dir).expanduser()
    places = list(_places(root))
    if not places:
        raise FileNotFoundError(
            f"{root} has no {' and no '.join(IMAGE_FOLDERS)} with masks beside it; the layout is: {LAYOUT}"
        )
    images = {image.stem: (image, place) for place in reversed(places) for image in list_files(place.images)}
    masks = {stem: _masks(image, place) for stem, (image, place) in sorted(images.items())}
    paired = [stem for stem, own in masks.items() if own]
    shown = ", ".join(str(place.images) for place in places)
    if not paired:
        raise FileNotFoundError(f"none of the {len(images)} pictures in {shown} has a mask; the layout is: {LAYOUT}")
    if len(paired) < len(images):
        logger.info(
            "%d of %d X-rays in %s have no mask and are left out", len(images) - len(paired), len(images), shown
        )

    def describe(stem: str) -> Item:
        own = masks[stem]
        label = own[0] if len(own) == 1 else merge_masks(own, merged / f"{stem}.png")
        return binary_picture_item(images[stem][0], label, stem, class_name=LUNG)

    return read_in_threads(describe, paired)


def _places(root: Path) -> Iterator[_Place]:
    for name in PLACES:
        folder = root / name
        images = next((folder / entry for entry in IMAGE_FOLDERS if (folder / entry).is_dir()), None)
        masks = [place / entry for place in (folder, root) for entry in MASK_FOLDERS if (place / entry).is_dir()]
        sides = [folder / side for side in SIDES]
        if images is None:
            continue
        if all(side.is_dir() for side in sides):
            yield _Place(images, masks, sides)
        elif masks:
            yield _Place(images, masks, [])


def _masks(image: Path, place: _Place) -> list[Path]:
    """The one mask of an image, or those of the two lungs; empty where it has none."""
    candidates = (folder / f"{image.stem}{suffix}" for folder in place.masks for suffix in MASK_SUFFIXES)
    whole = next((path for path in candidates if path.is_file()), None)
    if whole is not None:
        return [whole]
    sides = [side / f"{image.stem}.png" for side in place.sides]
    missing = [path for path in sides if not path.is_file()]
    if missing and len(missing) < len(sides):
        raise FileNotFoundError(f"{image} has the mask of one lung only: no {missing[0]}")
    return [] if missing else sides
