# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Each malformed 2D input gives one clear error that names the file; the table says which."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from PIL import Image

from scripts.data import (
    read_chest_xray,
    read_coco,
    read_datalist,
    read_fss1000,
    read_image_folder,
    read_image_text,
    read_isic2018,
    read_voc2012,
    read_wbc,
)
from scripts.data.readers.isic2018 import IMAGE_FOLDER, MASK_FOLDER
from scripts.transforms.load_item import LoadItemd

from .conftest import save_mask, save_picture, square_mask

Read = Callable[[Path], Any]
Damage = Callable[[Path], Any]


def folder(root: Path) -> None:
    """Two pictures a and b with masks of the values 0 and 1."""
    for seed, name in enumerate("ab"):
        save_picture(root / "images" / f"{name}.png", seed=seed)
        save_mask(root / "masks" / f"{name}.png", square_mask(1))


def datalist(root: Path) -> None:
    folder(root)
    entries = [{"image": f"images/{name}.png", "label": f"masks/{name}.png"} for name in "ab"]
    (root / "dataset.json").write_text(json.dumps({"labels": {"lung": 1}, "training": entries}))


def coco(root: Path) -> None:
    save_picture(root / "train2014" / "a.jpg")
    (root / "annotations").mkdir()
    edit_coco(root, lambda content: None)


def edit_coco(root: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 12, "width": 16}],
        "categories": [{"id": 18, "name": "dog"}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 18, "segmentation": [[1, 1, 9, 1, 9, 9]]}],
    }
    edit(content)
    (root / "annotations" / "instances_train2014.json").write_text(json.dumps(content))


def voc(root: Path) -> None:
    save_picture(root / "JPEGImages" / "a.jpg")
    save_mask(root / "SegmentationClassAug" / "a.png", square_mask(3), palette=True)
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("a\n")


def fss(root: Path) -> None:
    save_picture(root / "ab_wheel" / "1.jpg")
    save_mask(root / "ab_wheel" / "1.png", square_mask())


def lvit(root: Path) -> None:
    save_picture(root / "Train_Folder" / "img" / "TCGA-1.png")
    save_mask(root / "Train_Folder" / "labelcol" / "TCGA-1.png", square_mask())
    table(root, [("Image", "Description"), ("TCGA-1.png", "many")])


def table(root: Path, rows: list[tuple[str, ...]]) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(root / "Train_Folder" / "Train_text.xlsx")


def busi(root: Path) -> None:
    save_picture(root / "benign" / "benign (1).png")
    for ending in ("_mask", "_mask_1"):
        save_mask(root / "benign" / f"benign (1){ending}.png", square_mask())


def isic(root: Path) -> None:
    save_picture(root / IMAGE_FOLDER / "ISIC_1.jpg")
    save_mask(root / MASK_FOLDER / "ISIC_1_segmentation.png", square_mask())


def chest(root: Path) -> None:
    save_picture(root / "CXR_png" / "MCUCXR_1.png")
    for side in ("left", "right"):
        save_mask(root / "ManualMask" / f"{side}Mask" / "MCUCXR_1.png", square_mask())


def wbc(root: Path) -> None:
    save_picture(root / "Dataset 1" / "1.bmp")
    save_mask(root / "Dataset 1" / "1.png", square_mask())


def truncate(name: str, kept: int) -> Damage:
    return lambda root: os.truncate(root / name, kept)


def write(name: str, content: bytes) -> Damage:
    return lambda root: (root / name).write_bytes(content)


def mask(name: str, **options: Any) -> Damage:
    return lambda root: save_mask(root / name, square_mask(**options))


def picture(name: str, mode: str, size: tuple[int, int] = (16, 12), kind: str | None = None, colour: Any = 0) -> Damage:
    return lambda root: Image.new(mode, size, colour).save(root / name, format=kind)


def remove(name: str) -> Damage:
    return lambda root: (root / name).unlink()


def move(name: str, target: str) -> Damage:
    return lambda root: (root / name).rename(root / target)


def colours(name: str) -> Damage:
    return lambda root: save_picture(root / name)


def tiff(name: str, values: np.ndarray, pages: int = 1) -> Damage:
    def save(root: Path) -> None:
        picture = Image.fromarray(values)
        picture.save(root / name, format="TIFF", save_all=True, append_images=[picture] * (pages - 1))

    return save


def alpha(root: Path) -> None:
    """A mask that some editors write: black, with the shape in its alpha channel."""
    values = np.zeros((12, 16, 4), np.uint8)
    values[..., 3] = square_mask()
    Image.fromarray(values).save(root / A_MASK)


def bomb(root: Path) -> None:
    """A header that promises 60000 x 60000 pixels."""
    content = bytearray((root / "images" / "a.png").read_bytes())
    content[16:24] = (60000).to_bytes(4, "big") * 2
    (root / "images" / "a.png").write_bytes(content)


def dataset(text: str) -> Damage:
    return write("dataset.json", text.encode())


def entry(**changes: Any) -> Damage:
    def change(root: Path) -> None:
        content = json.loads((root / "dataset.json").read_text())
        content["training"][0].update(changes)
        (root / "dataset.json").write_text(json.dumps(content))

    return change


def annotation(**changes: Any) -> Damage:
    return lambda root: edit_coco(root, lambda content: content["annotations"][0].update(changes))


READERS: dict[Callable[[Path], None], Read] = {
    folder: lambda root: read_image_folder(root, ["lung"]),
    datalist: lambda root: read_datalist(root / "dataset.json"),
    coco: read_coco,
    voc: read_voc2012,
    fss: read_fss1000,
    lvit: read_image_text,
    busi: read_image_text,
    isic: read_isic2018,
    chest: read_chest_xray,
    wbc: read_wbc,
}
A_MASK, A_IMAGE = "masks/a.png", "images/a.png"
MALFORMED: list[tuple[Callable[[Path], None], Damage, str]] = [
    # pictures and masks
    (folder, truncate(A_MASK, 60), r"masks/a\.png is not a readable picture"),
    (folder, truncate(A_IMAGE, 20), r"images/a\.png is not a readable picture"),
    (folder, truncate(A_IMAGE, 0), r"images/a\.png is not a readable picture"),
    (folder, write(A_MASK, b"not a picture"), r"masks/a\.png is not a readable picture"),
    (folder, write(A_IMAGE, b"<html>404</html>"), r"images/a\.png is not a readable picture"),
    (folder, bomb, r"images/a\.png is not a readable picture"),
    (folder, mask(A_MASK, value=1, height=11), r"images/a\.png has 12 x 16 pixels .*masks/a\.png 11 x 16"),
    (folder, mask(A_MASK, value=1, width=12, height=16), r"images/a\.png has 12 x 16 .*masks/a\.png 16 x 12"),
    (folder, mask(A_MASK, value=7), r"masks/a\.png has label values up to 7, expected 0 and 255"),
    (folder, colours(A_MASK), r"masks/a\.png is a colour picture, expected a mask of indices"),
    (folder, picture(A_MASK, "I;16", colour=300), r"masks/a\.png has label values from 300 to 300, expected 0 to 255"),
    (folder, picture(A_MASK, "CMYK", kind="TIFF"), r"masks/a\.png has mode CMYK, expected a mask of indices"),
    (folder, tiff(A_MASK, np.full((12, 16), 0.5, np.float32)), r"masks/a\.png has label values that are no whole numb"),
    (folder, tiff(A_MASK, np.full((12, 16), np.nan, np.float32)), r"masks/a\.png has label values from nan to nan"),
    (folder, tiff(A_MASK, np.full((12, 16), -1, np.int32)), r"masks/a\.png has label values from -1 to -1"),
    (folder, tiff(A_MASK, square_mask(1), pages=3), r"masks/a\.png is not a readable picture: it has 3 pages"),
    (folder, alpha, r"masks/a\.png has one value only, and a mask in its alpha channel"),
    # folders
    (folder, remove(A_MASK), r"images/a\.png has no label: none of a, a_mask"),
    (folder, remove(A_IMAGE), r"masks/a\.png has no image in .*images"),
    (folder, move("images", "pictures"), r" has none of images, imagesTr"),
    (folder, move("masks", "maps"), r" has none of labels, masks"),
    (folder, lambda root: (root / "labels").mkdir(), r" has labels and masks, expected one of them"),
    (folder, picture("images/a.jpg", "RGB"), r"images holds two files named a: a\.jpg and a\.png"),
    (folder, lambda root: [path.unlink() for path in root.glob("*/*")], r"images holds no pictures"),
    (folder, lambda root: save_picture(root / "images" / "a_0000.png"), r"images holds two images of the case a"),
    (folder, move(A_MASK, "masks/a.nii.gz"), r"images/a\.png and its label .*a\.nii\.gz must both be pictures"),
    # datalists
    (datalist, dataset("{"), r"dataset\.json is not JSON"),
    (datalist, write("dataset.json", b"\xff\xfe\x00"), r"dataset\.json is not JSON"),
    (datalist, remove("dataset.json"), r"no datalist .*dataset\.json; expected a JSON file"),
    (datalist, dataset('{"validation": [1]}'), r"dataset\.json has no section 'training'; its lists are: validation"),
    (datalist, dataset('{"training": []}'), r"dataset\.json: section 'training' is no list, or empty"),
    (datalist, dataset("17"), r"dataset\.json: section 'training' is no list, or empty"),
    (datalist, dataset('["a.png"]'), r"dataset\.json: entry 0 needs an image and a label"),
    (datalist, dataset('{"labels": 3, "training": [{}]}'), r"dataset\.json, labels, is 3, expected a list"),
    (datalist, entry(label=None), r"dataset\.json: entry 0 needs an image and a label"),
    (datalist, entry(image=["a", "b"]), r"dataset\.json: entry 0 needs an image and a label, each one file name"),
    (datalist, entry(image="images/c.png"), r"no picture .*images/c\.png"),
    (datalist, entry(label="masks/c.png"), r"no picture .*masks/c\.png"),
    (datalist, entry(case_id="b"), r"dataset\.json, training: two entries have the case id 'b'"),
    (datalist, entry(classes={"lung": [1]}), r"dataset\.json: entry 0 has classes, but neither areas nor"),
    (datalist, entry(classes="lung", areas={"lung": 0.1}), r"dataset\.json: entry 0 has the classes 'lung', but areas"),
    (datalist, entry(classes={"lung": [1]}, areas=3), r"dataset\.json: entry 0 has classes, but neither areas nor"),
    (datalist, mask(A_MASK, value=2), r"masks/a\.png has unknown label values \[2\]; expected 0-1"),
    # COCO
    (coco, write("annotations/instances_train2014.json", b"[}"), r"instances_train2014\.json is not JSON"),
    (coco, write("annotations/instances_train2014.json", b"[]"), r"train2014\.json has no list 'images'"),
    (coco, lambda root: edit_coco(root, lambda c: c["images"][0].pop("height")), r"entry of 'images' has no height"),
    (coco, lambda root: edit_coco(root, lambda c: c["categories"][0].update(name="ox")), r"json has the category 'ox'"),
    (coco, annotation(image_id=9), r"json: annotation 5 belongs to image 9, which isn't listed"),
    (coco, annotation(category_id=9), r"json, image 1: annotation 5 can't be drawn: KeyError\(9\)"),
    (coco, annotation(segmentation=[[1, 1, 2]]), r"annotation 5 can't be drawn: .*three or more points"),
    (coco, annotation(segmentation=[]), r"annotation 5 can't be drawn: .*three or more points"),
    (coco, annotation(segmentation=None), r"annotation 5 can't be drawn: .*three or more points"),
    (coco, annotation(segmentation={"size": [5, 5], "counts": [25]}), r"annotation 5 can't be drawn"),
    (coco, remove("train2014/a.jpg"), r"instances_train2014\.json lists image 1: no a\.jpg in"),
    (coco, picture("train2014/a.jpg", "RGB", (8, 8)), r"train2014/a\.jpg has 8 x 8 .*a\.png 12 x 16"),
    (coco, move("train2014", "elsewhere"), r"instances_train2014\.json is there, but no folder train2014"),
    (coco, write("masks", b"a file in the way"), r"cannot write the mask .*masks/train2014/a\.png"),
    # other public sets
    (voc, write("ImageSets/Segmentation/train.txt", b""), r"train\.txt is empty"),
    (voc, write("ImageSets/Segmentation/train.txt", b"\xc3("), r"train\.txt is not text in UTF-8"),
    (voc, write("ImageSets/Segmentation/train.txt", b"a\na\n"), r"train\.txt names a twice"),
    (voc, mask("SegmentationClassAug/a.png", value=30), r"a\.png has unknown label values \[30\]; expected 0-20, 255"),
    (fss, remove("ab_wheel/1.png"), r"ab_wheel/1\.jpg has no mask: expected .*1\.png"),
    (fss, mask("ab_wheel/1.png", value=9), r"ab_wheel/1\.png has label values up to 9"),
    (fss, remove("ab_wheel/1.jpg"), r"ab_wheel holds no \.jpg"),
    (lvit, write("Train_Folder/Train_text.xlsx", b"PK"), r"Train_text\.xlsx is not a readable table"),
    (lvit, truncate("Train_Folder/Train_text.xlsx", 900), r"Train_text\.xlsx is not a readable table"),
    (lvit, lambda root: table(root, [("Picture", "Text")]), r"Train_text\.xlsx has no column Image and no column Desc"),
    (lvit, remove("Train_Folder/labelcol/TCGA-1.png"), r"img/TCGA-1\.png has no mask"),
    (lvit, move("Train_Folder/labelcol", "Train_Folder/labels"), r"Train_Folder has no img or no labelcol"),
    (busi, mask("benign/benign (1)_mask_1.png", height=9), r"benign \(1\)_mask_1\.png has 9 x 16 .*another mask of"),
    (busi, mask("benign/benign (1)_mask_1.png", value=3), r"benign \(1\)_mask_1\.png has label values up to 3"),
    (busi, lambda root: save_picture(root / "benign" / "benign (2).png"), r"benign \(2\)\.png has no mask: expected"),
    (isic, write("class_id.csv", b"ID,Class\nISIC_1,wart\n"), r"class_id\.csv gives ISIC_1 the class 'wart'"),
    (isic, write("class_id.csv", b"a\n1\n"), r"class_id\.csv needs the columns ID and Class, it has: a"),
    (isic, write("class_id.csv", b"ID,Class\nISIC_1,n\xe6vus\n"), r"class_id\.csv is not text in UTF-8"),
    (isic, write("class_id.csv", b"ID,Class\nISIC_1\n"), r"class_id\.csv gives ISIC_1 the class 'None'"),
    (isic, remove(f"{MASK_FOLDER}/ISIC_1_segmentation.png"), r"ISIC_1\.jpg has no mask: no ISIC_1_segmentation\.png"),
    (chest, remove("ManualMask/leftMask/MCUCXR_1.png"), r"MCUCXR_1\.png has the mask of one lung only"),
    (chest, truncate("ManualMask/leftMask/MCUCXR_1.png", 50), r"leftMask/MCUCXR_1\.png is not a readable picture"),
    (wbc, remove("Dataset 1/1.png"), r"1\.bmp has no mask: expected .*1\.png"),
    (wbc, truncate("Dataset 1/1.bmp", 10), r"1\.bmp is not a readable picture"),
]  # fmt: skip


def test_the_table_is_long_enough() -> None:
    assert len(MALFORMED) >= 60


@pytest.mark.parametrize("build", READERS, ids=lambda build: build.__name__)
def test_the_undamaged_input_is_read(tmp_path: Path, build: Callable[[Path], None]) -> None:
    build(tmp_path)
    items = READERS[build](tmp_path)
    assert all(item["classes"] for item in items)


@pytest.mark.parametrize(
    ("build", "damage", "message"),
    [pytest.param(*row, id=f"{number}-{row[0].__name__}") for number, row in enumerate(MALFORMED)],
)
def test_one_error_names_the_file(tmp_path: Path, build: Callable[[Path], None], damage: Damage, message: str) -> None:
    build(tmp_path)
    damage(tmp_path)
    with pytest.raises((ValueError, OSError), match=message) as caught:
        READERS[build](tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "kept"), [(A_IMAGE, 300), (A_MASK, 60)])
def test_damage_after_reading_is_told_by_the_loader(tmp_path: Path, name: str, kept: int) -> None:
    folder(tmp_path)
    item = read_image_folder(tmp_path, ["lung"])[0]
    os.truncate(tmp_path / name, kept)
    with pytest.raises(ValueError, match=rf"{name} is not a readable picture"):
        LoadItemd()(item)


def test_unreadable_values_of_a_picture(tmp_path: Path) -> None:
    folder(tmp_path)
    Image.fromarray(np.full((12, 16), 3.5, np.float32)).save(tmp_path / "images" / "a.png", format="TIFF")
    item = read_image_folder(tmp_path, ["lung"])[0]
    with pytest.raises(ValueError, match=r"a\.png has floating point values from 3\.5 to 3\.5, expected finite ones"):
        LoadItemd()(item)
