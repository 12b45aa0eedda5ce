# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Tiny real files in the public layouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

LAS_AFFINE = np.diag([-1.25, 1.25, 7.7, 1.0])  # as in the converted CHAOS volumes: left, front, head


def save_picture(path: Path, height: int = 12, width: int = 16, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def save_mask(path: Path, mask: np.ndarray, palette: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(mask, dtype=np.uint8))
    if palette:
        picture.putpalette([value for index in range(256) for value in (255 - index, index, 7)])
    picture.save(path)
    return path


def save_volume(path: Path, values: np.ndarray, affine: np.ndarray = LAS_AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def square_mask(value: int = 255, height: int = 12, width: int = 16) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[2:8, 3:9] = value
    return mask


@pytest.fixture
def voc_folder(tmp_path: Path) -> Path:
    """VOC 2012 with four training and two validation images."""
    root = tmp_path / "VOC2012"
    masks = {
        "a": {1: 20, 15: 6},
        "b": {1: 12, 2: 9},
        "c": {6: 30},
        "d": {6: 10, 15: 8},
        "e": {1: 11},
        "f": {2: 14, 6: 3},
    }
    for seed, (name, areas) in enumerate(masks.items()):
        save_picture(root / "JPEGImages" / f"{name}.jpg", seed=seed)
        mask = np.zeros(12 * 16, np.uint8)
        start = 0
        for value, area in areas.items():
            mask[start : start + area] = value
            start += area
        mask[-5:] = 255
        save_mask(root / "SegmentationClassAug" / f"{name}.png", mask.reshape(12, 16), palette=True)
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("a\nb\nc\nd\n")
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("e\nf\n")
    return root


ORGAN_SLICES = {1: range(1, 9), 2: range(2, 6), 3: range(3, 6), 4: range(6, 9)}


@pytest.fixture
def chaos_folder(tmp_path: Path) -> Path:
    """Four small volumes, 10 slices, each organ on a few of them; case 10 comes after case 2."""
    root = tmp_path / "CHAOS"
    for seed, case in enumerate(("1", "2", "3", "10")):
        generator = np.random.default_rng(seed)
        label = np.zeros((16, 12, 10), np.uint8)
        for value, slices in ORGAN_SLICES.items():
            for z in slices:
                label[3 * value : 3 * value + 3, 2 : 5 + (z % 3), z] = value
        image = generator.integers(1, 200, label.shape) + 300 * label.astype(np.int64)
        save_volume(root / f"image_{case}.nii.gz", image.astype(np.uint16))
        save_volume(root / f"label_{case}.nii.gz", label)
    return root


@pytest.fixture
def picture_items() -> Callable[..., list[dict[str, Any]]]:
    """Make a datalist without files: name -> classes with their areas."""

    def make(images: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
        return [
            {
                "image": f"{name}.png",
                "label": f"{name}_mask.png",
                "case_id": name,
                "classes": {entry: [index + 1] for index, entry in enumerate(sorted(areas))},
                "areas": dict(areas),
            }
            for name, areas in images.items()
        ]

    return make
