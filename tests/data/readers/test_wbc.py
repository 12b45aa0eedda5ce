# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.data.picture_reader import read_index
from scripts.data.readers.wbc import read_wbc

from ..conftest import save_mask, save_picture


def cell_mask() -> np.ndarray:
    mask = np.zeros((12, 16), np.uint8)
    mask[2:10, 2:12], mask[4:8, 4:8] = 128, 255
    return mask


def test_both_layouts_give_the_same_classes(tmp_path: Path) -> None:
    save_picture(tmp_path / "ours" / "dataset1" / "images" / "001.png")
    save_mask(tmp_path / "ours" / "dataset1" / "masks" / "001.png", cell_mask())
    distributed = tmp_path / "theirs" / "Dataset 1"
    distributed.mkdir(parents=True)
    Image.open(tmp_path / "ours" / "dataset1" / "images" / "001.png").save(distributed / "001.bmp")
    save_mask(distributed / "001.png", cell_mask())
    ours, theirs = read_wbc(tmp_path / "ours"), read_wbc(tmp_path / "theirs")
    for (item,) in (ours, theirs):
        assert item["case_id"] == "dataset1_001"
        assert item["classes"] == {"nucleus": [255], "cytoplasm": [128], "cell": [128, 255]}
        assert item["areas"] == {"nucleus": 16 / 192, "cytoplasm": 64 / 192, "cell": 80 / 192}
        assert "ignore_value" not in item


def test_stray_values_go_to_the_nearest(tmp_path: Path) -> None:
    mask = cell_mask()
    mask[0, 0], mask[0, 1], mask[0, 2] = 40, 100, 230
    save_picture(tmp_path / "dataset2" / "images" / "9.png")
    save_mask(tmp_path / "dataset2" / "masks" / "9.png", mask)
    (item,) = read_wbc(tmp_path, ["nucleus", "cytoplasm"])
    assert item["areas"] == {"nucleus": 17 / 192, "cytoplasm": 65 / 192}
    assert np.isin(mask, item["classes"]["nucleus"]).sum() == 17


def test_the_repository_as_downloaded(tmp_path: Path) -> None:
    root = tmp_path / "segmentation_WBC-master"
    for number, name in enumerate(("Dataset 1", "Dataset 2")):
        picture = Image.open(save_picture(tmp_path / "a.png", seed=number))
        (root / name).mkdir(parents=True)
        picture.save(root / name / "001.bmp")
        save_mask(root / name / "001.png", cell_mask())
    (root / "Class Labels of Dataset 1.csv").write_text("image ID,class label\n1,2\n")
    assert [item["case_id"] for item in read_wbc(tmp_path)] == ["dataset1_001", "dataset2_001"]
    assert [item["group"] for item in read_wbc(tmp_path, sets=["dataset2"])] == ["dataset2"]
    save_mask(root / "Dataset 1" / "002.png", cell_mask())
    with pytest.raises(FileNotFoundError, match=r"002\.png has no image: expected 002\.bmp beside it"):
        read_wbc(tmp_path)


def test_malformed_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no pair of dataset1 or dataset2"):
        read_wbc(tmp_path)
    save_picture(tmp_path / "Dataset 1" / "003.bmp")
    with pytest.raises(FileNotFoundError, match=r"003\.bmp has no mask: expected .*003\.png"):
        read_wbc(tmp_path)
    with pytest.raises(ValueError, match="no class 'platelet'"):
        read_wbc(tmp_path, ["platelet"])
    with pytest.raises(ValueError, match="no class 'dataset3'"):
        read_wbc(tmp_path, sets=["dataset3"])


def test_sample_counts(shared_data: Path) -> None:
    items = read_wbc(shared_data / "WBC")
    assert len(items) == 120
    assert sum(item["group"] == "dataset2" for item in items) == 10
    distributed = read_wbc(shared_data / "WBC" / "as_distributed")
    assert len(distributed) == 4
    for item in distributed:
        twin = next(entry for entry in items if entry["case_id"] == item["case_id"])
        np.testing.assert_array_equal(read_index(item["label"]), read_index(twin["label"]))
