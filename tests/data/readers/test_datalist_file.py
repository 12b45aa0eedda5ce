# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.apps.prepare.summary import summarise
from scripts.data import PropagationDataset, expand_items, make_episode_list
from scripts.data.readers.datalist_file import read_datalist
from scripts.transforms import LoadVolumed

from ..conftest import save_mask, save_picture, save_volume, square_mask
from ..dicom_files import SLICES, UID, stored_volume, write_masks, write_series


@pytest.fixture
def decathlon(tmp_path: Path) -> Path:
    for number in range(3):
        label = np.zeros((4, 5, 3), np.uint8)
        label[1, 1, number] = 1
        label[2, 2, 0] = 2
        save_volume(tmp_path / "imagesTr" / f"s_{number}.nii.gz", label.astype(np.float32))
        save_volume(tmp_path / "labelsTr" / f"s_{number}.nii.gz", label)
    entries = [{"image": f"./imagesTr/s_{n}.nii.gz", "label": f"./labelsTr/s_{n}.nii.gz", "fold": n} for n in range(3)]
    content = {"labels": {"0": "background", "1": "spleen", "2": "cyst"}, "training": entries, "test": ["./x.nii.gz"]}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    return tmp_path / "dataset.json"


def test_decathlon(decathlon: Path) -> None:
    items = read_datalist(decathlon)
    assert [item["case_id"] for item in items] == ["s_0", "s_1", "s_2"]
    assert items[1]["classes"] == {"spleen": [1], "cyst": [2]}
    assert items[1]["slice_areas"]["spleen"] == [0.0, 0.05, 0.0]
    assert list(read_datalist(decathlon, class_names=["a", "b"])[0]["classes"]) == ["a", "b"]


def test_lists_from_windows(decathlon: Path) -> None:
    text = decathlon.read_text().replace("/", "\\\\")
    decathlon.write_text(text, encoding="utf-8-sig")
    assert "imagesTr\\\\s_0" in text
    assert [item["case_id"] for item in read_datalist(decathlon)] == ["s_0", "s_1", "s_2"]


def test_an_entry_chooses_one_of_several_series(tmp_path: Path) -> None:
    first, second = stored_volume(1), stored_volume(2)
    write_series(tmp_path / "study", first)
    names = [f"other{z}.dcm" for z in range(SLICES)]
    write_series(
        tmp_path / "study", second, names=names, edit=lambda data, z: setattr(data, "SeriesInstanceUID", f"{UID}.9")
    )
    label = (second > 100).astype(np.uint8)
    write_masks(tmp_path / "Ground", label, [f"{z}.png" for z in range(SLICES)], range(SLICES))
    entry = {"image": "study", "label": "Ground", "case_id": "a", "series_uid": f"{UID}.9"}
    (tmp_path / "dataset.json").write_text(json.dumps([entry]))
    items = read_datalist(tmp_path / "dataset.json", class_names=["bright"])
    assert items[0]["series_uid"] == f"{UID}.9"
    bare = {**entry, "image": items[0]["image"], "label": items[0]["label"]}
    assert expand_items([bare])[2]["series_uid"] == f"{UID}.9"
    tasks = make_episode_list(items, "own", "propagation")
    volume = PropagationDataset(tasks, items, [LoadVolumed(("image", "label"))])[0]
    np.testing.assert_array_equal(volume["image"][0].numpy(), second)
    assert summarise(items)["intensities"]["max"] == second.max()


def test_folds(decathlon: Path) -> None:
    assert [item["case_id"] for item in read_datalist(decathlon, part="train", fold=1)] == ["s_0", "s_2"]
    assert [item["case_id"] for item in read_datalist(decathlon, part="val", fold=1)] == ["s_1"]
    assert len(read_datalist(decathlon, part="train", fold=None)) == 3
    with pytest.raises(ValueError, match=r"nothing for part 'val' of fold 5; its folds are \[0, 1, 2\]"):
        read_datalist(decathlon, part="val", fold=5)


def test_a_plain_list_of_pictures_from_another_folder(tmp_path: Path) -> None:
    save_picture(tmp_path / "set" / "a.png")
    save_mask(tmp_path / "set" / "a_mask.png", square_mask(4))
    file = tmp_path / "list.json"
    file.write_text(json.dumps([{"image": "a.png", "label": "a_mask.png", "case_id": 12, "group": "g"}]))
    (item,) = read_datalist(file, base_dir=tmp_path / "set")
    assert (item["case_id"], item["classes"], item["group"]) == ("12", {"class_4": [4]}, "g")


def test_described_entries_are_taken_as_they_are(tmp_path: Path) -> None:
    entry = {"image": "a.png", "label": "b.png", "case_id": "a", "classes": {"dog": [3]}, "areas": {"dog": 0.5}}
    (tmp_path / "d.json").write_text(json.dumps({"training": [entry]}))
    (item,) = read_datalist(tmp_path / "d.json")  # no file is read
    assert item == {**entry, "image": str(tmp_path / "a.png"), "label": str(tmp_path / "b.png")}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["training", "labels", "image", "label", "classes", "fold", "0", "1"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(content=json_values)
def test_any_json_gives_one_error_that_names_the_file(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    file = tmp_path_factory.mktemp("any") / "any.json"
    file.write_text(json.dumps(content))
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        read_datalist(file)
    assert str(file.parent) in str(caught.value)


def test_names_of_links_with_one_channel_and_other_spellings(decathlon: Path) -> None:
    """Hub snapshots link to files named by a hash; lists hold channels as lists; Macs spell umlauts in two letters."""
    root = decathlon.parent
    for kind in ("images", "labels"):
        (root / f"{kind}Tr" / "s_0.nii.gz").rename(root / f"{kind[0]}0f86d081884c7d65")
        (root / f"{kind}Tr" / "s_0.nii.gz").symlink_to(root / f"{kind[0]}0f86d081884c7d65")
        (root / f"{kind}Tr" / "s_1.nii.gz").rename(root / f"{kind}Tr" / "Gro\u0308\u00dfe.nii.gz")
    (root / "imagesTr" / "s_2.nii.gz").rename(root / "imagesTr" / "s_2_0000.nii.gz")
    entries = [
        {"image": ["imagesTr/s_0.nii.gz"], "label": "labelsTr/s_0.nii.gz"},
        {"image": "imagesTr/Gr\u00f6\u00dfe.nii.gz", "label": ["labelsTr/Gr\u00f6\u00dfe.nii.gz"]},
        {"image": "imagesTr/s_2_0000.nii.gz", "label": "labelsTr/s_2.nii.gz"},
    ]
    labels = {"background": "0", "spleen": "1", "cyst": ["2"]}  # nnU-Net's order, as text
    decathlon.write_text(json.dumps({"labels": labels, "training": entries}), encoding="utf-16")
    items = read_datalist(decathlon)
    assert [item["case_id"] for item in items] == ["s_0", "Gro\u0308\u00dfe", "s_2"]
    assert [list(item["classes"]) for item in items] == [["spleen", "cyst"]] * 3
    decathlon.write_text(json.dumps({"training": [{"image": ["a.nii", "b.nii"], "label": "c.nii"}]}))
    with pytest.raises(ValueError, match=r"entry 0 needs an image and a label, each one file name"):
        read_datalist(decathlon)
