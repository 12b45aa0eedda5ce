# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Supports from volumes (three parts per label) and from pictures (one)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from scripts.data import read_reference_support
from scripts.transforms import LoadItemd, LoadVolumed, ResizeImaged, ScaleIntensityBodyd

TRANSFORM: list[Any] = [
    LoadItemd(("image", "label"), [LoadVolumed(("image", "label")), ScaleIntensityBodyd("image")]),
    ResizeImaged("image", 32),
]


def save_case(folder: Path, name: str, extents: dict[int, range], num_slices: int = 12) -> tuple[str, str]:
    """A volume (LPS) in which label v covers 20 v pixels of the slices of its extent."""
    label = np.zeros((16, 16, num_slices), np.uint8)
    for value, extent in extents.items():
        for z in extent:
            label[2 * value : 2 * value + 2, 2:12, z] = value
    image = np.random.default_rng(0).normal(100, 5, label.shape) + 50 * label + 3 * np.arange(num_slices)
    paths = []
    for kind, values in (("image", image.astype(np.float32)), ("label", label)):
        path = folder / f"{name}_{kind}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(values, np.diag([-1.0, -1.0, 3.0, 1.0])), path)
        paths.append(str(path))
    return paths[0], paths[1]


def test_middle_slices_of_the_thirds_of_the_extent(tmp_path: Path) -> None:
    image, label = save_case(tmp_path, "a", {1: range(0, 9), 4: range(3, 6)})
    support = read_reference_support(image, label, TRANSFORM, class_names=["liver", "spleen"])
    assert support.class_names == {1: "liver", 4: "spleen"}
    # label 1: slices 1, 4, 7; label 4: slices 3, 4, 5; slice 4 is shared and there once
    assert support.images.shape == (5, 3, 32, 32)
    assert [part.position for part in support.parts[1]] == pytest.approx([1 / 11, 4 / 11, 7 / 11])
    assert [part.images for part in support.parts[1]] == [(0,), (2,), (4,)]
    assert [part.images for part in support.parts[4]] == [(1,), (2,), (3,)]
    assert support.parts[1][0].label.shape == (1, 1, 16, 16)
    assert support.parts[1][0].label.sum() == 20
    assert support.parts[4][1].label.unique().tolist() == [0, 1]
    brightness = support.images.mean((1, 2, 3))
    assert brightness.min() >= 0
    assert brightness.max() <= 1


def test_several_cases_support_each_part(tmp_path: Path) -> None:
    cases = [save_case(tmp_path, "a", {1: range(0, 9)}), save_case(tmp_path, "b", {1: range(3, 12), 2: range(4, 5)})]
    images, labels = [case[0] for case in cases], [case[1] for case in cases]
    support = read_reference_support(images, labels, TRANSFORM)
    assert [part.position for part in support.parts[1]] == pytest.approx([2.5 / 11, 5.5 / 11, 8.5 / 11])
    assert [part.label.shape[0] for part in support.parts[1]] == [2, 2, 2]
    assert [part.images for part in support.parts[2]] == [support.parts[2][0].images] * 3  # one slice is all there is
    assert support.class_names == {1: "label 1", 2: "label 2"}
    first = read_reference_support(images, labels, TRANSFORM, num_shots=1)
    assert set(first.parts) == {1}
    assert first.images.shape[0] == 3


def test_pictures_support_every_slice(tmp_path: Path) -> None:
    images, labels = [], []
    for number, (height, width, value) in enumerate([(20, 30, 2), (24, 18, 2), (20, 20, 3)]):
        mask = np.zeros((height, width), np.uint8)
        mask[:5, :4] = value
        mask[-2:] = 255
        for paths, name, values in (
            (images, "image", np.full((height, width, 3), 99, np.uint8)),
            (labels, "mask", mask),
        ):
            path = tmp_path / f"{name}_{number}.png"
            Image.fromarray(values).save(path)
            paths.append(str(path))
    support = read_reference_support(images, labels, TRANSFORM)
    assert support.images.shape == (3, 3, 32, 32)
    assert [part.images for part in support.parts[2]] == [(0, 1)]
    assert [part.images for part in support.parts[3]] == [(2,)]
    assert support.parts[2][0].position is None
    assert support.parts[2][0].label.shape == (2, 1, 24, 30)  # masks of two sizes: brought to the largest
    assert support.parts[3][0].label.unique().tolist() == [0, 1, 255]


def test_masks_of_0_and_255_are_label_1(tmp_path: Path) -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[3:9, 4:12] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(np.full((20, 20), 50, np.uint8)).save(tmp_path / "image.png")
    support = read_reference_support(str(tmp_path / "image.png"), str(tmp_path / "mask.png"), TRANSFORM)
    assert set(support.parts) == {1}
    assert torch.equal(support.parts[1][0].label[0, 0], torch.from_numpy(mask > 0).float())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"images": []}, ValueError, "no support given"),
        ({"labels": []}, ValueError, "1 support_images but 0 support_labels"),
        ({"images": ["none.nii.gz"]}, FileNotFoundError, "support file none.nii.gz does not exist"),
        ({"class_names": ["a", "b"]}, ValueError, r"2 class_names \(a, b\) for 1 label values \[1\]"),
    ],
)
def test_errors(tmp_path: Path, change: dict[str, Any], error: type[Exception], message: str) -> None:
    image, label = save_case(tmp_path, "a", {1: range(2, 5)})
    arguments = {"images": [image], "labels": [label], "transform": TRANSFORM, **change}
    with pytest.raises(error, match=message):
        read_reference_support(**arguments)


def test_an_empty_mask_is_named(tmp_path: Path) -> None:
    image, label = save_case(tmp_path, "a", {})
    with pytest.raises(ValueError, match=r"a_label\.nii\.gz: every mask is empty"):
        read_reference_support(image, label, TRANSFORM)
