# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.data.readers.image_folder import class_values_of, read_image_folder

from ..conftest import save_mask, save_picture, save_volume, square_mask


def test_pictures_with_names_of_values(tmp_path: Path) -> None:
    for number, value in ((10, 1), (2, 2)):
        save_picture(tmp_path / "images" / f"case{number}.png")
        save_mask(tmp_path / "masks" / f"case{number}_mask.png", square_mask(value))
    items = read_image_folder(tmp_path, ["liver", "spleen"])
    assert [(item["case_id"], item["classes"]) for item in items] == [
        ("case2", {"spleen": [2]}), ("case10", {"liver": [1]}),
    ]  # fmt: skip
    assert [list(item["classes"]) for item in read_image_folder(tmp_path)] == [["class_2"], ["class_1"]]
    (tmp_path / "classes.json").write_text(json.dumps({"organ": [1, 2]}))
    assert [list(item["classes"]) for item in read_image_folder(tmp_path)] == [["organ"], ["organ"]]


@pytest.mark.parametrize("value", [1, 255])
def test_one_class_fits_both_kinds_of_binary_masks(tmp_path: Path, value: int) -> None:
    save_picture(tmp_path / "img" / "a.jpg")
    save_mask(tmp_path / "labels" / "a.png", square_mask(value))
    assert read_image_folder(tmp_path, ["lung"])[0]["areas"] == {"lung": pytest.approx(36 / 192)}


def test_ignored_pixels(tmp_path: Path) -> None:
    save_picture(tmp_path / "images" / "a.jpg")
    mask = square_mask(1)
    mask[-1] = 255
    save_mask(tmp_path / "labels" / "a.png", mask)
    (item,) = read_image_folder(tmp_path, ["lung"], ignore_value=255)
    assert item["ignore_value"] == 255
    assert item["areas"] == {"lung": 36 / 192}


def test_volumes(tmp_path: Path) -> None:
    label = np.zeros((4, 5, 3), np.uint8)
    label[1, 1, 2] = 1
    save_volume(tmp_path / "imagesTr" / "liver_7_0000.nii.gz", label.astype(np.float32))
    save_volume(tmp_path / "labelsTr" / "liver_7.nii.gz", label)
    (item,) = read_image_folder(tmp_path, ["liver"])
    assert item["case_id"] == "liver_7"
    assert item["slice_areas"] == {"liver": [0.0, 0.0, 0.05]}


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (["a", "b"], {"a": [1], "b": [2]}),
        ({"a": 3, "b": [1, 2]}, {"a": [3], "b": [1, 2]}),
        ({"0": "background", "1": "a", "2": "b"}, {"a": [1], "b": [2]}),
        ({"background": 0, "a": 1}, {"a": [1]}),
        (None, None),
    ],
)
def test_ways_to_name_classes(names: Any, values: Any) -> None:
    assert class_values_of(names, "x") == values


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("liver", "x is 'liver', expected a list of names"),
        ([], "x names no class"),
        (["a", "a"], "class name 'a' twice"),
        ({"a": 256}, r"gives 'a' the label values \[256\]"),
        ({"a": []}, r"gives 'a' the label values \[\]"),
        ({"a": 1.5}, "entry 'a': 1.5"),
        ({"a": True}, "entry 'a': True"),
        ({"a": [1, "2"]}, r"label values \[1, '2'\]"),
    ],
)
def test_wrong_names(names: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_values_of(names, "x")


@given(
    st.one_of(
        st.lists(st.one_of(st.text(max_size=3), st.integers(), st.none()), max_size=4),
        st.dictionaries(
            st.text(max_size=3),
            st.one_of(st.integers(-3, 300), st.text(max_size=3), st.lists(st.integers(-3, 300), max_size=3), st.none()),
            max_size=4,
        ),
    )
)
def test_any_names_give_values_or_one_error(names: Any) -> None:
    try:
        values = class_values_of(names, "x")
    except ValueError as error:
        message = str(error)
    else:
        message = ""
        assert values
        assert all(isinstance(name, str) and name for name in values)
        assert all(0 < value < 256 for own in values.values() for value in own)
    assert not message or message.startswith("x ")


def test_names_in_another_spelling_and_results_beside_the_images(tmp_path: Path) -> None:
    save_picture(tmp_path / "images" / "Gro\u0308\u00dfe.png")  # as a Mac spells it
    save_mask(tmp_path / "labels" / "Gr\u00f6\u00dfe.png", square_mask(1))
    (tmp_path / "images" / "._x.png").write_bytes(b"\0\5\x16\7")
    save_mask(tmp_path / "images" / "Gr\u00f6\u00dfe_seg.png", square_mask(1))
    (item,) = read_image_folder(tmp_path)
    assert item["classes"] == {"class_1": [1]}


@pytest.mark.parametrize(
    "names", [{"liver": "1", "spleen": ["2", "3"]}, {"background": "0", "liver": 1, "spleen": [2, 3]}], ids=str
)
def test_label_values_as_text(names: dict[str, Any]) -> None:
    assert class_values_of(names, "labels") == {"liver": [1], "spleen": [2, 3]}
