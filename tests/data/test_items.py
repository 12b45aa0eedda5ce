# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.data.items import (
    binary_picture_item,
    expand_items,
    item_id,
    picture_item,
    slice_items,
    volume_item,
    with_flips,
)
from scripts.data.mask_values import UnknownLabelError

from .conftest import save_mask, save_picture, save_volume, square_mask


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return save_picture(tmp_path / "a.png"), save_mask(tmp_path / "a_mask.png", square_mask(3))


def test_picture_item_counts_areas_of_present_classes(pair: tuple[Path, Path]) -> None:
    item = picture_item(*pair, "a", class_values={"dog": [3], "cat": [4]}, ignore_value=255, group="g")
    assert item["classes"] == {"dog": [3]}
    assert item["areas"] == {"dog": pytest.approx(36 / 192)}
    assert item["ignore_value"] == 255
    assert item["group"] == "g"
    assert item_id(item) == "a"


def test_classes_are_made_up_where_there_is_no_table(pair: tuple[Path, Path]) -> None:
    assert picture_item(*pair, "a")["classes"] == {"class_3": [3]}


def test_unknown_values_are_listed(pair: tuple[Path, Path]) -> None:
    with pytest.raises(UnknownLabelError, match=r"a_mask\.png has unknown label values \[3\]; expected 0-2, 255"):
        picture_item(*pair, "a", class_values={"dog": [1], "cat": [2]}, ignore_value=255)


def test_sizes_must_agree(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    other = save_mask(tmp_path / "small.png", square_mask(3, height=10))
    with pytest.raises(ValueError, match=r"a\.png has 12 x 16 pixels .*small\.png 10 x 16"):
        picture_item(pair[0], other, "a")


def test_soft_edges_of_binary_masks(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    mask = square_mask(255)
    mask[1, 3:9], mask[8, 3:9] = 100, 180
    item = binary_picture_item(pair[0], save_mask(tmp_path / "m.png", mask), "a", class_name="lung")
    assert item["areas"]["lung"] == pytest.approx(42 / 192)
    empty = binary_picture_item(pair[0], save_mask(tmp_path / "e.png", mask * 0), "a", class_name="lung")
    assert empty["classes"] == {}
    ones = binary_picture_item(pair[0], save_mask(tmp_path / "o.png", mask // 255), "a", class_name="lung")
    assert ones["classes"] == {"lung": [1]}
    with pytest.raises(UnknownLabelError, match=r"t\.png has label values up to 2, expected 0 and 255"):
        binary_picture_item(pair[0], save_mask(tmp_path / "t.png", mask // 100), "a", class_name="lung")


def test_volume_becomes_slices_from_the_feet_up(tmp_path: Path) -> None:
    label = np.zeros((4, 5, 3), np.uint8)
    label[1, 1, 0], label[1:3, 1, 2], label[0, 0, 2] = 1, 1, 2
    upside_down = np.diag([1.0, 1.0, -2.0, 1.0])  # the file's slices run from head to feet
    image = save_volume(tmp_path / "i.nii.gz", label.astype(np.float32), upside_down)
    volume = volume_item(
        image, save_volume(tmp_path / "l.nii.gz", label, upside_down), "7", class_values={"liver": [1], "spleen": [2]}
    )
    assert volume["slice_areas"] == {"liver": [0.1, 0.0, 0.05], "spleen": [0.05, 0.0, 0.0]}
    slices = slice_items([volume])
    assert [item_id(item) for item in slices] == ["7:0", "7:1", "7:2"]
    assert [sorted(item["classes"]) for item in slices] == [["liver", "spleen"], [], ["liver"]]
    assert slices[0]["areas"]["liver"] == 0.1
    assert slices[2]["num_slices"] == 3
    assert "slice_areas" not in slices[0]


def test_volume_label_of_another_grid_is_refused(tmp_path: Path) -> None:
    image = save_volume(tmp_path / "i.nii.gz", np.zeros((4, 5, 3), np.float32))
    label = save_volume(tmp_path / "l.nii.gz", np.zeros((4, 5, 4), np.uint8))
    with pytest.raises(ValueError, match="different shapes"):
        volume_item(image, label, "7", class_values={"liver": [1]})


def test_flipped_copies_keep_the_id_of_their_original(pair: tuple[Path, Path]) -> None:
    item = picture_item(*pair, "a")
    original, flipped = with_flips([item])
    assert original == item
    assert flipped["flip"]
    assert item_id(flipped) == "a"


def test_bare_pairs_are_described_and_volumes_expanded(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    label = np.zeros((4, 5, 3), np.uint8)
    label[1, 1, 1] = 5
    volume = {
        "image": str(save_volume(tmp_path / "i.nii.gz", label.astype(np.float32))),
        "label": str(save_volume(tmp_path / "l.nii.gz", label)),
    }
    items = expand_items([{"image": str(pair[0]), "label": str(pair[1])}, volume])
    assert len(items) == 4
    assert items[0]["classes"] == {"class_3": [3]}
    assert [sorted(item["classes"]) for item in items[1:]] == [[], ["class_5"], []]


def test_an_entry_without_label_is_refused() -> None:
    with pytest.raises(ValueError, match="item 0 of the datalist has no label"):
        expand_items([{"image": "a.png"}])
