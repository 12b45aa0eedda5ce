# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from PIL import Image

from scripts.data.readers.image_text import read_image_text

from ..conftest import save_mask, save_picture, square_mask

POLYP = "cju0qkwl35piu0993l0dewei2"
PROMPTS = {
    "p0": "",
    "p1": "polyp",
    "p2": "round polyp",
    "p7": ["polyp which is a lump", "polyp which is a growth"],
    "p9": ["one polyp on the left"],
}


def save_table(path: Path, rows: list[tuple[str | None, ...]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def kvasir(root: Path) -> Path:
    """Kvasir-SEG as distributed, with masks saved as JPEG, and medvlsm's prompts."""
    root = root / "Kvasir-SEG"
    save_picture(root / "images" / f"{POLYP}.jpg", 64, 64)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    save_mask(root / "masks" / f"{POLYP}.jpg", mask)
    record = {"img_name": f"{POLYP}.jpg", "prompts": PROMPTS}
    (root / "anns").mkdir()
    (root / "anns" / "test.json").write_text(json.dumps([record]))
    (root / "kavsir_bboxes.json").write_text("{}")
    return root.parent


def busi(root: Path) -> Path:
    """BUSI as distributed: two masks of one image, an empty one of a healthy breast."""
    folder = root / "Dataset_BUSI_with_GT"
    upper, lower = np.zeros((12, 16)), np.zeros((12, 16))
    upper[1:3, 2:8], lower[8:10, 2:8] = 255, 255
    for group, number, masks in (("benign", 10, [upper, lower]), ("benign", 2, [upper]), ("normal", 1, [upper * 0])):
        save_picture(folder / group / f"{group} ({number}).png", seed=number)
        for index, mask in enumerate(masks):
            ending = f"_{index}" if index else ""
            save_mask(folder / group / f"{group} ({number})_mask{ending}.png", mask)
    return root


def lvit(root: Path) -> Path:
    """QaTa-COV19 in LViT's layout: masks and rows of the table are named for the mask."""
    for split, number in (("Train", 1), ("Val", 2), ("Test", 3)):
        folder = root / f"{split}_Folder"
        save_picture(folder / "img" / f"covid_{number}.png", seed=number)
        save_mask(folder / "labelcol" / f"mask_covid_{number}.png", square_mask(number % 2 or 255))
        rows = [("Image", "Description"), (f"mask_covid_{number}.png", f"Bilateral  infection,\n{number} areas")]
        save_table(folder / f"{split}_text.xlsx", [*rows, (None, None), ("mask_covid_99.png", "absent")])
    return root


def test_prompts_that_leak_are_left_out(tmp_path: Path) -> None:
    (item,) = read_image_text(kvasir(tmp_path))
    assert item["case_id"] == POLYP
    assert item["areas"]["polyp"] == pytest.approx(0.25, abs=0.01)
    assert item["sentences"] == ["polyp", "polyp which is a lump", "polyp which is a growth"]
    assert "leaking_sentences" not in item
    assert item["split"] == "test"
    (all_of_it,) = read_image_text(tmp_path, with_leaking=True)
    assert all_of_it["leaking_sentences"] == ["round polyp", "one polyp on the left"]


def test_only_the_longer_prompt_lists_explain_the_target_in_p7(tmp_path: Path) -> None:
    root = kvasir(tmp_path) / "Kvasir-SEG"
    prompts = {key: value for key, value in PROMPTS.items() if key != "p9"}
    (root / "anns" / "test.json").write_text(json.dumps([{"img_name": f"{POLYP}.jpg", "prompts": prompts}]))
    assert read_image_text(root)[0]["sentences"] == ["polyp"]


def test_masks_of_one_image_are_merged(tmp_path: Path) -> None:
    items = read_image_text(busi(tmp_path))
    assert [item["case_id"] for item in items] == ["benign (2)", "benign (10)", "normal (1)"]
    assert [item["areas"].get("breast lesion", 0) for item in items] == [12 / 192, 24 / 192, 0]
    assert [item["group"] for item in items] == ["benign", "benign", "normal"]
    assert Path(items[1]["label"]).parent.name == "merged_masks"


def test_tables_of_lvit(tmp_path: Path) -> None:
    items = read_image_text(lvit(tmp_path), with_leaking=True)
    assert [(item["case_id"], item["split"]) for item in items] == [
        ("covid_1", "train"), ("covid_2", "val"), ("covid_3", "test"),
    ]  # fmt: skip
    assert all(item["areas"] == {"lung infection": pytest.approx(36 / 192)} for item in items)
    assert items[0]["leaking_sentences"] == ["Bilateral infection, 1 areas"]
    assert all("sentences" not in item for item in items)
    assert [item["case_id"] for item in read_image_text(tmp_path, "val")] == ["covid_2"]


def test_the_set_is_told_by_its_files(tmp_path: Path) -> None:
    for name in ("1", "2"):
        save_picture(tmp_path / "images" / f"{name}.tif")
        save_mask(tmp_path / "masks" / f"{name}.tif", square_mask())
    with pytest.raises(
        ValueError, match=r"such as 1\.tif\) don't tell which set it is; name its class with class_name"
    ):
        read_image_text(tmp_path)
    assert list(read_image_text(tmp_path, class_name="polyp")[0]["classes"]) == ["polyp"]
    with pytest.raises(ValueError, match="has no splits of its own"):
        read_image_text(tmp_path, "train", class_name="polyp")


def not_json(root: Path) -> None:
    (root / "Kvasir-SEG" / "anns" / "test.json").write_text("[")


def no_records(root: Path) -> None:
    (root / "Kvasir-SEG" / "anns" / "test.json").write_text('{"a": 1}')


def no_prompts(root: Path) -> None:
    (root / "Kvasir-SEG" / "anns" / "test.json").write_text('[{"img_name": "a.png"}]')


def number_prompt(root: Path) -> None:
    (root / "Kvasir-SEG" / "anns" / "test.json").write_text('[{"img_name": "a.png", "prompts": {"p1": 3}}]')


def no_mask(root: Path) -> None:
    (root / "Kvasir-SEG" / "masks" / f"{POLYP}.jpg").unlink()


def two_images(root: Path) -> None:
    Image.new("RGB", (64, 64)).save(root / "Kvasir-SEG" / "images" / f"{POLYP}.png")


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (not_json, ValueError, r"test\.json is not JSON"),
        (no_records, ValueError, r"test\.json holds a dict, expected a list of records"),
        (no_prompts, ValueError, r"test\.json: record 0 needs the entries img_name and prompts"),
        (number_prompt, ValueError, r"test\.json: record 0 has the prompt 3, expected a text"),
        (no_mask, FileNotFoundError, rf"{POLYP}\.jpg has no mask"),
        (two_images, ValueError, rf"holds two images named {POLYP}"),
    ],
)
def test_malformed_folders(
    tmp_path: Path, damage: Callable[[Path], None], error: type[Exception], message: str
) -> None:
    damage(kvasir(tmp_path))
    with pytest.raises(error, match=message):
        read_image_text(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no workbook", r"Train_text\.xlsx is not a readable table"),
        (
            [("Name", "Text"), ("a", "b")],
            r"Train_text\.xlsx has no column Image and no column Description .*Name, Text",
        ),
        ([], r"Train_text\.xlsx has no column Image .* holds: nothing"),
    ],
)
def test_malformed_tables(tmp_path: Path, content: bytes | list[tuple[str, ...]], message: str) -> None:
    table = lvit(tmp_path) / "Train_Folder" / "Train_text.xlsx"
    if isinstance(content, bytes):
        table.write_bytes(content)
    else:
        save_table(table, content)
    with pytest.raises(ValueError, match=message):
        read_image_text(tmp_path)


@pytest.mark.parametrize(
    ("name", "count", "class_name", "empty"),
    [("BUSI", 25, "breast lesion", 3), ("KVASIR", 5, "polyp", 0), ("MONUSEG", 9, "nuclei", 0)],
)
def test_sample_counts(shared_data: Path, name: str, count: int, class_name: str, empty: int) -> None:
    items = read_image_text(shared_data / name, with_leaking=True)
    assert len(items) == count
    assert sum(item["classes"] == {} for item in items) == empty
    assert {entry for item in items for entry in item["classes"]} == {class_name}
    assert all(item.get("leaking_sentences") for item in items if item["classes"])
    assert all(bool(item.get("sentences")) == (name != "MONUSEG") for item in items if item["classes"])
