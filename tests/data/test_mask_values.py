# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""No grey value becomes a label: what masks of one class, maps of labels and photos are taken for."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scripts.data.mask_values import (
    UnknownLabelError,
    check_annotation,
    foreground_values,
    label_tables,
    shade_values,
)
from scripts.data.picture_reader import read_index
from scripts.data.readers.datalist_file import read_datalist
from scripts.data.readers.image_folder import read_image_folder
from scripts.data.reference_support import read_reference_support
from scripts.transforms import LoadItemd, LoadVolumed, ResizeImaged

from .conftest import save_picture, save_volume


def disc(size: int = 48, high: int = 1) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2
    return ((x**2 + 1.5 * y**2 < (size / 3.5) ** 2) * high).astype(np.uint8)


def jpeg(mask: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "JPEG", quality=75)
    return stream.getvalue()


def resampled(mask: np.ndarray) -> np.ndarray:
    size = mask.shape[0]
    picture = Image.fromarray(mask).resize((size + 13, size + 13), Image.Resampling.BILINEAR)
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))


# How a mask of one class may be saved: name of the file -> its content.
ONE_CLASS: dict[str, Callable[[Path], Any]] = {
    "ones.png": lambda path: Image.fromarray(disc()).save(path),
    "white.png": lambda path: Image.fromarray(disc(high=255)).save(path),
    "bits.png": lambda path: Image.fromarray(disc(high=255)).convert("1").save(path),
    "lossy.jpg": lambda path: path.write_bytes(jpeg(disc(high=255))),
    "lossy.JPEG": lambda path: path.write_bytes(jpeg(disc(high=255))),
    "soft.png": lambda path: Image.fromarray(resampled(disc(high=255))).save(path),
    "soft_250.png": lambda path: Image.fromarray(resampled(disc(high=250))).save(path),
}
LOAD: list[Any] = [LoadItemd(("image", "label")), ResizeImaged("image", 32)]


@pytest.mark.parametrize("names", [(), ("polyp",)], ids=["unnamed", "named"])
@pytest.mark.parametrize("first", ONE_CLASS)
def test_supports_of_one_class(tmp_path: Path, first: str, names: tuple[str, ...]) -> None:
    files = [first, *(name for name in ("ones.png", "white.png") if name != first)]
    for name in files:
        ONE_CLASS[name](tmp_path / name)
    images = [str(save_picture(tmp_path / f"image{number}.png", 48, 48)) for number in range(len(files))]
    support = read_reference_support(images, [str(tmp_path / name) for name in files], LOAD, class_names=names)
    assert {value: [part.images for part in parts] for value, parts in support.parts.items()} == {
        1: [tuple(range(len(files)))]
    }
    for label in support.parts[1][0].label[:, 0]:
        assert set(torch.unique(label).tolist()) == {0, 1}
        assert (label.numpy() != disc()).sum() < 0.02 * 48 * 48


@pytest.mark.parametrize("name", ONE_CLASS)
@pytest.mark.parametrize("class_names", [["polyp"], None])
def test_a_folder_of_ones_own(tmp_path: Path, name: str, class_names: list[str] | None) -> None:
    (tmp_path / "masks").mkdir()
    ONE_CLASS[name](tmp_path / "masks" / name)
    save_picture(tmp_path / "images" / f"{Path(name).stem}.png", 48, 48)
    (item,) = read_image_folder(tmp_path, class_names)
    ((found, area),) = item["areas"].items()
    if class_names is None and name in ("white.png", "bits.png"):
        assert found == "class_255"  # one label, whatever its value
    else:
        assert found == (class_names or ["class_1"])[0]
    assert area == pytest.approx(disc().mean(), abs=0.02)


def test_volumes_of_one_class(tmp_path: Path) -> None:
    """The list names one class; its volumes are 0 and 1 in one file, 0 and 255 in the other."""
    for case, high in (("a", 1), ("b", 255)):
        label = np.stack([disc(16, high)] * 3, axis=2)
        save_volume(tmp_path / f"image_{case}.nii.gz", label.astype(np.float32))
        save_volume(tmp_path / f"label_{case}.nii.gz", label)
    entries = ", ".join(f'{{"image": "image_{case}.nii.gz", "label": "label_{case}.nii.gz"}}' for case in "ab")
    (tmp_path / "list.json").write_text(f'{{"labels": {{"0": "background", "1": "liver"}}, "training": [{entries}]}}')
    items = read_datalist(tmp_path / "list.json")
    assert [item["slice_areas"]["liver"] for item in items] == [[disc(16).mean()] * 3] * 2
    images, labels = ([str(tmp_path / f"{kind}_{case}.nii.gz") for case in "ab"] for kind in ("image", "label"))
    load: list[Any] = [LoadItemd(("image", "label"), [LoadVolumed(("image", "label"))]), ResizeImaged("image", 16)]
    support = read_reference_support(images, labels, load)
    assert [len(part.images) for part in support.parts[1]] == [2, 2, 2]
    assert all(torch.equal(part.label[0], part.label[1]) for part in support.parts[1])


LABELS = st.lists(st.integers(1, 30), min_size=1, max_size=20, unique=True)


@settings(max_examples=60, deadline=None)
@given(values=LABELS, ignored=st.booleans(), seed=st.integers(0, 99))
def test_maps_of_labels_stay_as_they_are(values: list[int], ignored: bool, seed: int) -> None:
    """Squares of any labels, touching each other, with or without ignored pixels."""
    rng = np.random.default_rng(seed)
    mask = np.kron(rng.choice([0, *values], (6, 6)), np.ones((12, 12))).astype(np.uint8)
    mask[0, 0] = values[0]
    if ignored:
        mask[40:52, 40:52] = 255
    table = label_tables({"a.png": mask}, are_pictures=True)["a.png"]
    assert (table[mask] == mask).all()


@settings(max_examples=60, deadline=None)
@given(size=st.integers(24, 64), high=st.sampled_from([1, 200, 255]), noise=st.integers(0, 30), seed=st.integers(0, 99))
def test_a_mask_of_one_class_is_cut_in_the_middle(size: int, high: int, noise: int, seed: int) -> None:
    mask = disc(size, high)
    noisy = mask.astype(int)
    if high > 1:
        noisy += np.random.default_rng(seed).integers(-noise, noise + 1, mask.shape)
    noisy = np.clip(noisy, 0, 255).astype(np.uint8)
    foreground = foreground_values(np.bincount(noisy.ravel(), minlength=256), "a.png")
    np.testing.assert_array_equal(np.isin(noisy, foreground), mask > 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 1, 2], r"a\.png has label values up to 2, expected 0 and 255, or 0 and 1.* 2 values above 0: \[1, 2\]"),
        ([0, 1, 255], r"a\.png has label values up to 255, .* 2 values above 0: \[1, 255\]"),
        (range(100), r"a\.png has label values up to 99, .* 99 values above 0: \[1, 2, 3, 4\] \.\.\. 99"),
        ([0, 7], r"a\.png has label values up to 7, .* 1 values above 0: \[7\]"),
    ],
)
def test_what_no_mask_of_one_class_can_be(values: Any, message: str) -> None:
    with pytest.raises(UnknownLabelError, match=message):
        foreground_values(np.bincount(list(values), minlength=256), "a.png")


def test_a_photo_is_no_mask(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8)
    with pytest.raises(UnknownLabelError, match=r"p\.png has 254 label values above 0, as a photo has"):
        label_tables({"p.png": photo}, are_pictures=True)


def test_255_is_not_a_label_here_and_ignored_there() -> None:
    several, white = disc() * 2, disc(high=255)
    with pytest.raises(UnknownLabelError, match=r"w\.png is a mask of 0 and 255, s\.png has the label values \[2\]"):
        label_tables({"s.png": several, "w.png": white})


def test_shades_of_a_volume_are_no_annotation(tmp_path: Path) -> None:
    soft = np.zeros((48, 48, 3), np.uint8)
    soft[..., 1] = resampled(disc(high=200))
    image = save_volume(tmp_path / "v.nii.gz", np.zeros(soft.shape, np.float32))
    label = save_volume(tmp_path / "a.nii.gz", soft)
    with pytest.raises(UnknownLabelError, match=r"annotation .*a\.nii\.gz has \d+ values, shades of grey"):
        LoadVolumed(("image", "annotation"))({"image": image, "annotation": label})
    white = save_volume(tmp_path / "w.nii.gz", np.stack([disc(high=255)] * 3, axis=2))
    with pytest.raises(UnknownLabelError, match=r"w\.nii\.gz has no label on any slice .* only 0 and 255; 255 means"):
        LoadVolumed(("image", "annotation"))({"image": image, "annotation": white})
    check_annotation(disc(high=3), "fine.nii.gz")


def test_rings_of_labels_are_no_shades(tmp_path: Path) -> None:
    """Nucleus 255 in cytoplasm 128, and thicker rings of three labels."""
    cell = np.maximum(disc(64, 128), np.pad(disc(32, 255), 16))
    assert shade_values(cell, "cell.png") is None
    rings = np.zeros((80, 80), np.uint8)
    for value, margin in ((60, 4), (120, 14), (180, 24), (240, 34)):
        rings[margin:-margin, margin:-margin] = value
    assert shade_values(rings, "rings.png") is None
    path = tmp_path / "rings.png"
    Image.fromarray(rings).save(path)
    assert set(np.unique(read_index(path))) == {0, 60, 120, 180, 240}
