# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from scripts.data.picture_reader import read_index
from scripts.data.readers.coco import COCO_CLASSES, coco_classes, draw_instances, read_coco

from ..conftest import save_mask, save_picture, square_mask


def box(left: int, top: int, right: int, bottom: int) -> list[list[float]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def instances() -> dict[str, Any]:
    """Two images: a dog with a small cat on it, and a crowd of people given by run lengths; a third without objects."""
    crowd = np.zeros((12, 16), np.uint8)
    crowd[9:, :] = 1
    runs = [9, 3] * 16  # column by column
    assert coco_mask.decode(coco_mask.frPyObjects({"size": [12, 16], "counts": runs}, 12, 16)).sum() == crowd.sum()
    return {
        "images": [{"id": n, "file_name": f"{n:012d}.jpg", "height": 12, "width": 16} for n in (7, 8, 9)],
        "categories": [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}, {"id": 1, "name": "person"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 17, "iscrowd": 0, "segmentation": box(4, 4, 6, 6)},
            {"id": 2, "image_id": 7, "category_id": 18, "iscrowd": 0, "segmentation": box(2, 2, 10, 10)},
            {
                "id": 3, "image_id": 8, "category_id": 1, "iscrowd": 1,
                "segmentation": {"size": [12, 16], "counts": runs},
            },
        ],
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (7, 8, 9):
        save_picture(tmp_path / "train2017" / f"{number:012d}.jpg", seed=number)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_train2017.json").write_text(json.dumps(instances()))
    return tmp_path


def test_instances_become_class_masks(folder: Path) -> None:
    items = read_coco(folder)
    assert [item["case_id"] for item in items] == ["000000000007", "000000000008"]
    assert items[0]["classes"] == {"cat": [16], "dog": [17]}
    assert items[0]["areas"] == {"cat": pytest.approx(4 / 192), "dog": pytest.approx(60 / 192)}
    assert items[1]["areas"] == {"person": pytest.approx(48 / 192)}
    label = read_index(items[0]["label"])
    assert (label[4:6, 4:6] == 16).all()
    assert label[2, 2] == 17
    assert [item["case_id"] for item in read_coco(folder, classes=["person"])] == ["000000000008"]


def test_masks_are_drawn_once(folder: Path) -> None:
    items = read_coco(folder)
    annotations = folder / "annotations" / "instances_train2017.json"
    written = Path(items[0]["label"]).stat().st_mtime_ns
    assert read_coco(folder) == items
    assert Path(items[0]["label"]).stat().st_mtime_ns == written
    content = instances()
    content["annotations"] = content["annotations"][:1]
    annotations.write_text(json.dumps(content))
    later = annotations.stat().st_mtime + 5
    os.utime(annotations, (later, later))
    (item,) = read_coco(folder)
    assert list(item["classes"]) == ["cat"]


def test_an_interrupted_drawing_goes_on(folder: Path) -> None:
    first = read_coco(folder, mask_dir=folder / "cache")
    drawn = folder / "cache" / "train2017"
    (drawn / "index.json").unlink()
    (drawn / "000000000008.png").unlink()
    kept = (drawn / "000000000007.png").stat().st_mtime_ns
    assert read_coco(folder, mask_dir=folder / "cache") == first
    assert (drawn / "000000000007.png").stat().st_mtime_ns == kept


def test_drawn_masks_beside_the_annotations(folder: Path) -> None:
    save_mask(folder / "annotations" / "val2014" / "3.png", square_mask(5))
    save_picture(folder / "val2014" / "3.jpg")
    (item,) = read_coco(folder, "val")
    assert item["classes"] == {"airplane": [5]}


def test_folds_partition_the_classes() -> None:
    novel = [coco_classes(fold, "novel") for fold in range(4)]
    assert sorted(name for own in novel for name in own) == sorted(COCO_CLASSES)
    assert len(COCO_CLASSES) == 80
    assert novel[0][:3] == ["person", "airplane", "boat"]
    assert coco_classes(1, "base") == [name for name in COCO_CLASSES if name not in novel[1]]
    assert coco_classes(None, "novel") == COCO_CLASSES
    with pytest.raises(ValueError, match="no fold 4"):
        coco_classes(4, "base")
    with pytest.raises(ValueError, match="'base' or 'novel'"):
        coco_classes(0, "train")


corners = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20))


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3]), corners), max_size=5))
def test_drawing_agrees_with_a_plain_loop(rectangles: list[tuple[int, tuple[int, int, int, int]]]) -> None:
    size = (24, 30)
    annotations = [
        {"category_id": value, "segmentation": box(left, top, left + width, top + height)}
        for value, (left, top, width, height) in rectangles
    ]
    drawn = draw_instances(annotations, {1: 1, 2: 2, 3: 3}, size, "test")
    areas = [
        (min(top + height, 24) - min(top, 24)) * (min(left + width, 30) - min(left, 30))
        for _, (left, top, width, height) in rectangles
    ]
    expected = np.zeros(size, np.uint8)
    for index in sorted(range(len(areas)), key=lambda index: -areas[index]):
        value, (left, top, width, height) = rectangles[index]
        expected[top : top + height, left : left + width] = value
    np.testing.assert_array_equal(drawn, expected)


def test_sample_counts(shared_data: Path) -> None:
    items = read_coco(shared_data / "COCO128")
    assert len(items) == 20
    assert sum("person" in item["classes"] for item in items) > 0


def nested(folder: Path, names: list[str], encoding: str = "utf-8") -> Path:
    """Instances of pictures in folders: the n-th shows a dog of n + 1 columns."""
    content = instances()
    content["images"] = [{"id": n, "file_name": name, "height": 12, "width": 16} for n, name in enumerate(names)]
    content["annotations"] = [
        {"id": n, "image_id": n, "category_id": 18, "segmentation": box(2, 2, 3 + n, 10)} for n in range(len(names))
    ]
    (folder / "annotations").mkdir(exist_ok=True)
    text = json.dumps(content)
    (folder / "annotations" / "instances_train2014.json").write_text(text, encoding=encoding)
    return folder


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_pictures_of_one_name_in_several_folders(tmp_path: Path, encoding: str) -> None:
    names = ["a/1.jpg", "b/1.jpg", "b/c/1.jpg"]
    for seed, name in enumerate([*names, "1.jpg"]):
        save_picture(tmp_path / "train2014" / name, seed=seed)
    nested(tmp_path, names, encoding)
    for _ in range(2):  # drawn, and from the index
        items = read_coco(tmp_path)
        assert [item["image"] for item in items] == [str(tmp_path / "train2014" / name) for name in names]
        assert [item["case_id"] for item in items] == ["a/1", "b/1", "b/c/1"]
        assert [round(item["areas"]["dog"] * 192 / 8) for item in items] == [1, 2, 3]
        assert len({item["label"] for item in items}) == 3


@pytest.mark.parametrize("names", [["a/1.jpg", "b/1.jpg"], ["1.jpg", "1.png"], ["1.jpg", "1.jpg"]], ids=str)
def test_two_images_that_mean_one_picture_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in ("1.jpg", "1.png"):
        save_picture(tmp_path / "train2014" / name)
    with pytest.raises(ValueError, match=r"lists two images, .*1\.(jpg|png), that mean the same picture"):
        read_coco(nested(tmp_path, names))


def test_a_name_with_folders_that_the_export_dropped(tmp_path: Path) -> None:
    save_picture(tmp_path / "train2014" / "1.jpg")
    for name in ("data/images/1.jpg", "C:\\data\\1.jpg"):
        (item,) = read_coco(nested(tmp_path, [name]))
        assert item["case_id"] == "1"


def test_a_drawn_mask_without_its_picture_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_picture(tmp_path / "images" / "a.jpg")
    for name in ("a", "b"):
        save_mask(tmp_path / "masks" / f"{name}.png", square_mask(1))
    assert len(read_coco(tmp_path)) == 1
    assert "1 mask(s) in" in caplog.text
    assert "the first is b.png" in caplog.text
    save_picture(tmp_path / "images" / "a.png")
    with pytest.raises(ValueError, match=r"holds two pictures named a: a\.jpg and a\.png"):
        read_coco(tmp_path)
