# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Lungs in chest X-rays: the Shenzhen and Montgomery sets (Jaeger et al. 2014, Candemir et al. 2014)."""

from __future__ import annotations

import logging
from pathlib import Path

from .folders import dataset_folder, list_files
from .items import Item, binary_picture_item, read_in_threads

__all__ = ["read_chest_xray"]

LUNG = "lung"
IMAGE_FOLDERS = ("images", "CXR_png")
MASK_SUFFIXES = ("_mask.png", ".png")
LAYOUT = (
    "images/<name>.jpg or CXR_png/<name>.png, and masks/<name>_mask.png (Shenzhen) or masks/<name>.png (Montgomery); "
    "a folder 'Lung Segmentation' around them is found as well"
)

logger = logging.getLogger(__name__)


def read_chest_xray(dataset_dir: str | Path) -> list[Item]:
    """Read the pairs; X-rays without a mask (Shenzhen has a hundred) are left out, their number is logged.

    Args:
        dataset_dir: folder of the set.
    """
    root = Path(dataset_dir).expanduser()
    if (root / "Lung Segmentation").is_dir():
        root = root / "Lung Segmentation"
    root = dataset_folder(root, "the chest X-ray set", LAYOUT, ["masks"])
    folder = next((root / name for name in IMAGE_FOLDERS if (root / name).is_dir()), None)
    if folder is None:
        raise FileNotFoundError(f"{root} has neither {' nor '.join(IMAGE_FOLDERS)}; the layout is: {LAYOUT}")
    images = list_files(folder)
    masks = {image: _mask(root / "masks", image) for image in images}
    pairs = [(image, mask) for image, mask in masks.items() if mask is not None]
    if not pairs:
        raise FileNotFoundError(f"none of the {len(images)} pictures in {folder} has a mask; the layout is: {LAYOUT}")
    if len(pairs) < len(images):
        logger.info(
            "%d of %d X-rays in %s have no mask and are left out", len(images) - len(pairs), len(images), folder
        )

    def describe(pair: tuple[Path, Path]) -> Item:
        image, mask = pair
        return binary_picture_item(image, mask, image.stem, class_name=LUNG)

    return read_in_threads(describe, pairs)


def _mask(folder: Path, image: Path) -> Path | None:
    candidates = (folder / f"{image.stem}{suffix}" for suffix in MASK_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)
