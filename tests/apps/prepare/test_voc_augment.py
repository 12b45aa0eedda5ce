# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from scripts.apps.prepare.voc_augment import augment_voc2012
from scripts.data import read_voc2012


def save_sbd(path, label):
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"GTcls": {"Segmentation": label, "Boundaries": np.zeros(3)}})


@pytest.fixture
def root(tmp_path):
    """VOC has a (train) and b (val), SBD has b and c."""
    voc = tmp_path / "VOCdevkit" / "VOC2012"
    for folder in ("SegmentationClass", "JPEGImages", "ImageSets/Segmentation"):
        (voc / folder).mkdir(parents=True)
    for name in "abc":
        Image.new("RGB", (16, 12)).save(voc / "JPEGImages" / f"{name}.jpg")
    for name in "ab":
        mask = Image.fromarray(np.full((12, 16), 12, np.uint8))
        mask.putpalette([1, 2, 3] * 256)
        mask.save(voc / "SegmentationClass" / f"{name}.png")
    (voc / "ImageSets" / "Segmentation" / "train.txt").write_text("a\n")
    (voc / "ImageSets" / "Segmentation" / "val.txt").write_text("b\n")
    for name, value in (("b", 3), ("c", 7)):
        save_sbd(tmp_path / "benchmark_RELEASE" / "dataset" / "cls" / f"{name}.mat", np.full((12, 16), value, np.uint8))
    return tmp_path


def test_sbd_fills_what_voc_lacks(root):
    assert augment_voc2012(root) == 2
    items = read_voc2012(root, "trainaug")
    assert {item["case_id"]: list(item["classes"]) for item in items} == {"a": ["dog"], "c": ["car"]}
    assert [list(item["classes"]) for item in read_voc2012(root, "val")] == [["dog"]]
    assert augment_voc2012(root) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.full((12, 16), 99, np.uint8), r"c\.mat has the shape \(12, 16\) and values up to 99"),
        (None, r"c\.mat is not a"),
    ],
)
def test_malformed(root, content, message):
    path = root / "benchmark_RELEASE" / "dataset" / "cls" / "c.mat"
    if content is None:
        path.write_bytes(b"MATLAB")
    else:
        save_sbd(path, content)
    with pytest.raises(ValueError, match=message):
        augment_voc2012(root)
    (root / "benchmark_RELEASE").rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match="which SegmentationClassAug is made of"):
        augment_voc2012(root)
