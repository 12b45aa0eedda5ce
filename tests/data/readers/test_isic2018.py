# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import pytest

from scripts.data.readers.isic2018 import IMAGE_FOLDER, MASK_FOLDER, read_isic2018

from ..conftest import save_mask, save_picture, square_mask

DIAGNOSES = {"ISIC_0000001": "nevus", "ISIC_0000002": "melanoma", "ISIC_0000003": "seborrheic_keratosis"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in DIAGNOSES:
        save_picture(tmp_path / IMAGE_FOLDER / f"{name}.jpg")
        save_mask(tmp_path / MASK_FOLDER / f"{name}_segmentation.png", square_mask())
    rows = [f"{name},{diagnosis}" for name, diagnosis in DIAGNOSES.items()]
    (tmp_path / "class_id.csv").write_text("ID,Class\n" + "\n".join(rows) + "\n")
    (tmp_path / IMAGE_FOLDER / "ATTRIBUTION.txt").write_text("not a picture")
    return tmp_path


def test_diagnoses_by_name(folder: Path) -> None:
    items = read_isic2018(folder)
    assert {item["case_id"]: list(item["classes"]) for item in items} == {k: [v] for k, v in DIAGNOSES.items()}
    assert [item["case_id"] for item in read_isic2018(folder, ["melanoma"])] == ["ISIC_0000002"]


def test_one_class_without_table(folder: Path) -> None:
    (folder / "class_id.csv").unlink()
    assert all(list(item["classes"]) == ["lesion"] for item in read_isic2018(folder))
    with pytest.raises(ValueError, match="no class 'nevus'; its classes are lesion"):
        read_isic2018(folder, ["nevus"])


@pytest.mark.parametrize("named", [True, False])
def test_folders_of_diagnoses(folder: Path, named: bool) -> None:
    for number, (name, diagnosis) in enumerate(DIAGNOSES.items(), start=1):
        place = folder / IMAGE_FOLDER / (diagnosis if named else str(number))
        place.mkdir()
        (folder / IMAGE_FOLDER / f"{name}.jpg").rename(place / f"{name}.jpg")
    assert {item["case_id"]: list(item["classes"]) for item in read_isic2018(folder)} == {
        name: [diagnosis] for name, diagnosis in DIAGNOSES.items()
    }
    (folder / "class_id.csv").unlink()
    if named:
        assert [next(iter(item["classes"])) for item in read_isic2018(folder)] == list(DIAGNOSES.values())
    else:
        with pytest.raises(ValueError, match="has no class '1', '2', '3'"):
            read_isic2018(folder)
        items = read_isic2018(folder, folder_classes={"1": "nevus", "2": "melanoma", "3": "seborrheic_keratosis"})
        assert [next(iter(item["classes"])) for item in items] == list(DIAGNOSES.values())


def test_folders_of_masks_too_and_a_folder_around(tmp_path: Path) -> None:
    for name, diagnosis in DIAGNOSES.items():
        save_picture(tmp_path / "ISIC" / IMAGE_FOLDER / diagnosis / f"{name}.jpg")
        save_mask(tmp_path / "ISIC" / MASK_FOLDER / diagnosis / f"{name}_segmentation.png", square_mask())
    items = read_isic2018(tmp_path)
    assert [next(iter(item["classes"])) for item in items] == list(DIAGNOSES.values())
    save_picture(tmp_path / "ISIC" / IMAGE_FOLDER / "ISIC_0000009.jpg")
    with pytest.raises(ValueError, match=r"ISIC_0000009\.jpg lies in no folder of a diagnosis, as 3 others do"):
        read_isic2018(tmp_path)


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        ("mask", FileNotFoundError, r"ISIC_0000002\.jpg has no mask: no ISIC_0000002_segmentation\.png"),
        ("row", ValueError, r"class_id\.csv gives ISIC_0000002 the class None"),
        ("class", ValueError, r"class_id\.csv gives ISIC_0000002 the class 'wart'"),
        ("columns", ValueError, r"class_id\.csv needs the columns ID and Class, it has: name, kind"),
        ("empty", FileNotFoundError, r"holds no pictures"),
        ("folder", FileNotFoundError, rf"has no {MASK_FOLDER}"),
    ],
)
def test_malformed_folders(folder: Path, damage: str, error: type[Exception], message: str) -> None:
    table = folder / "class_id.csv"
    if damage == "mask":
        (folder / MASK_FOLDER / "ISIC_0000002_segmentation.png").unlink()
    elif damage == "row":
        table.write_text("ID,Class\nISIC_0000001,nevus\nISIC_0000003,nevus\n")
    elif damage == "class":
        table.write_text(table.read_text().replace("melanoma", "wart"))
    elif damage == "columns":
        table.write_text("name,kind\nISIC_0000001,nevus\n")
    elif damage == "empty":
        for path in (folder / IMAGE_FOLDER).glob("*.jpg"):
            path.unlink()
    else:
        (folder / MASK_FOLDER).rename(folder / "elsewhere")
    with pytest.raises(error, match=message):
        read_isic2018(folder)


def test_sample_counts(shared_data: Path) -> None:
    items = read_isic2018(shared_data / "ISIC")
    counts = {name: sum(name in item["classes"] for item in items) for name in DIAGNOSES.values()}
    assert counts == {"nevus": 64, "melanoma": 56, "seborrheic_keratosis": 40}
