# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts.data.readers.voc2012 import VOC_CLASSES, read_voc2012, voc2012_classes

from ..conftest import save_mask, square_mask


def test_palette_masks_and_the_ignored_border(voc_folder: Path) -> None:
    items = read_voc2012(voc_folder)
    assert [item["case_id"] for item in items] == ["a", "b", "c", "d"]
    assert items[0]["classes"] == {"aeroplane": [1], "person": [15]}
    assert items[0]["areas"] == {"aeroplane": 20 / 192, "person": 6 / 192}
    assert items[0]["ignore_value"] == 255


def test_only_wanted_classes_and_images_that_show_them(voc_folder: Path) -> None:
    items = read_voc2012(voc_folder, classes=["bus"])
    assert {item["case_id"]: item["classes"] for item in items} == {"c": {"bus": [6]}, "d": {"bus": [6]}}
    assert [item["case_id"] for item in read_voc2012(voc_folder, "val")] == ["e", "f"]


@pytest.mark.parametrize("fold", range(4))
def test_folds_part_the_classes(fold: int) -> None:
    base, novel = voc2012_classes(fold, "base"), voc2012_classes(fold, "novel")
    assert (len(base), len(novel)) == (15, 5)
    assert sorted(base + novel) == sorted(VOC_CLASSES)
    assert novel == VOC_CLASSES[5 * fold : 5 * fold + 5]


def test_without_fold_all_classes() -> None:
    assert voc2012_classes(None, "base") == voc2012_classes(None, "novel") == VOC_CLASSES
    with pytest.raises(ValueError, match="no fold 4"):
        voc2012_classes(4, "base")
    with pytest.raises(ValueError, match="'base' or 'novel'"):
        voc2012_classes(0, "val")


def test_other_layouts(voc_folder: Path) -> None:
    (voc_folder / "SegmentationClassAug").rename(voc_folder / "SegmentationClass")
    (voc_folder / "ImageSets" / "Segmentation" / "train.txt").write_text(
        "/JPEGImages/a.jpg /SegmentationClassAug/a.png\n/JPEGImages/c.jpg /SegmentationClassAug/c.png\n"
    )
    assert [item["case_id"] for item in read_voc2012(voc_folder.parent)] == ["a", "c"]


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        ("folder", FileNotFoundError, r"dataset_dir .* is not a folder; expected there: JPEGImages"),
        ("images", FileNotFoundError, r"has no JPEGImages; the layout of VOC 2012 is"),
        ("split", FileNotFoundError, r"has no ImageSets/Segmentation/train\.txt"),
        ("masks", FileNotFoundError, r"neither SegmentationClassAug nor SegmentationClass"),
        ("image", FileNotFoundError, r"train\.txt names b, but there is no .*b\.jpg"),
        ("mask", FileNotFoundError, r"train\.txt names c, but there is no .*c\.png"),
        ("empty split", ValueError, r"train\.txt is empty"),
        ("value", ValueError, r"b\.png has unknown label values \[77\]; expected 0-20, 255"),
        ("size", ValueError, r"d\.jpg has 12 x 16 pixels"),
        ("corrupt", ValueError, r"a\.png is not a readable picture"),
    ],
)
def test_malformed_folders(voc_folder: Path, damage: str, error: type[Exception], message: str) -> None:
    masks, split = voc_folder / "SegmentationClassAug", voc_folder / "ImageSets" / "Segmentation" / "train.txt"
    if damage == "folder":
        voc_folder = voc_folder / "nothing"
    elif damage in ("images", "masks"):
        shutil.rmtree(voc_folder / "JPEGImages" if damage == "images" else masks)
    elif damage == "split":
        split.unlink()
    elif damage == "image":
        (voc_folder / "JPEGImages" / "b.jpg").unlink()
    elif damage == "mask":
        (masks / "c.png").unlink()
    elif damage == "empty split":
        split.write_text("\n")
    elif damage == "value":
        save_mask(masks / "b.png", square_mask(77))
    elif damage == "size":
        save_mask(masks / "d.png", square_mask(1, height=11))
    else:
        (masks / "a.png").write_bytes(b"PNG")
    with pytest.raises(error, match=message):
        read_voc2012(voc_folder)


def test_unknown_class_is_refused(voc_folder: Path) -> None:
    with pytest.raises(ValueError, match="VOC 2012 has no class 'zebra'"):
        read_voc2012(voc_folder, classes=["zebra"])


def test_sample_counts(shared_data: Path) -> None:
    train = read_voc2012(shared_data / "VOC2012")
    assert len(train) == 850
    assert len(read_voc2012(shared_data / "VOC2012", "val")) == 106
    assert sum(item["areas"].get("dog", 0) >= 0.002 for item in train) == pytest.approx(134, abs=1)
