# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from scripts.data.picture_reader import read_index
from scripts.data.readers.chest_xray import read_chest_xray

from ..conftest import save_mask, save_picture, square_mask


def test_both_ways_to_name_a_mask(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "Lung Segmentation"
    for seed, name in enumerate(("CHNCXR_0001_0", "MCUCXR_0001_0", "CHNCXR_0025_0")):
        save_picture(root / "CXR_png" / f"{name}.png", seed=seed)
    save_mask(root / "masks" / "CHNCXR_0001_0_mask.png", square_mask())
    save_mask(root / "masks" / "MCUCXR_0001_0.png", square_mask())
    with caplog.at_level(logging.INFO):
        items = read_chest_xray(tmp_path)
    assert [item["case_id"] for item in items] == ["CHNCXR_0001_0", "MCUCXR_0001_0"]
    assert items[0]["areas"] == {"lung": pytest.approx(36 / 192)}
    assert "1 of 3 X-rays" in caplog.text


def montgomery(root: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        save_picture(root / "CXR_png" / f"{name}.png", seed=seed)
        for side, rows in (("left", slice(2, 5)), ("right", slice(7, 10))):
            mask = np.zeros((12, 16), np.uint8)
            mask[rows, 2:8] = 255
            save_mask(root / "ManualMask" / f"{side}Mask" / f"{name}.png", mask)
    return root


def test_left_and_right_lung_are_merged(tmp_path: Path) -> None:
    root = montgomery(tmp_path / "MontgomerySet", "MCUCXR_0001_0", "MCUCXR_0002_0")
    items = read_chest_xray(tmp_path)
    assert [item["case_id"] for item in items] == ["MCUCXR_0001_0", "MCUCXR_0002_0"]
    assert items[0]["areas"] == {"lung": pytest.approx(36 / 192)}
    merged = tmp_path / "merged_masks" / "MCUCXR_0001_0.png"
    assert items[0]["label"] == str(merged)
    written = merged.stat().st_mtime_ns
    assert read_chest_xray(tmp_path)[0] == items[0]
    assert merged.stat().st_mtime_ns == written
    elsewhere = read_chest_xray(root, mask_dir=tmp_path / "cache")[0]
    np.testing.assert_array_equal(read_index(elsewhere["label"]), read_index(merged))


def test_a_changed_mask_is_merged_again(tmp_path: Path) -> None:
    root = montgomery(tmp_path, "MCUCXR_0001_0")
    before = read_chest_xray(root)[0]["areas"]["lung"]
    right = save_mask(root / "ManualMask" / "rightMask" / "MCUCXR_0001_0.png", np.zeros((12, 16)))
    later = (tmp_path / "merged_masks" / "MCUCXR_0001_0.png").stat().st_mtime + 5
    os.utime(right, (later, later))
    assert read_chest_xray(root)[0]["areas"]["lung"] == pytest.approx(before / 2)


def test_malformed_lungs(tmp_path: Path) -> None:
    root = montgomery(tmp_path, "MCUCXR_0001_0")
    right = root / "ManualMask" / "rightMask" / "MCUCXR_0001_0.png"
    save_mask(right, square_mask(height=10))
    with pytest.raises(ValueError, match=r"rightMask.*has 10 x 16 pixels .*leftMask.* 12 x 16"):
        read_chest_xray(root)
    right.unlink()
    with pytest.raises(FileNotFoundError, match=r"0001_0\.png has the mask of one lung only: no .*rightMask"):
        read_chest_xray(root)


def test_kaggle_and_both_sets_in_one_folder(tmp_path: Path) -> None:
    root = tmp_path / "kaggle" / "data" / "Lung Segmentation"
    save_picture(root / "CXR_png" / "CHNCXR_0001_0.png")
    save_mask(root / "masks" / "CHNCXR_0001_0_mask.png", square_mask())
    assert len(read_chest_xray(tmp_path / "kaggle")) == 1
    both = tmp_path / "both"
    montgomery(both / "MontgomerySet", "MCUCXR_0001_0")
    save_picture(both / "ChinaSet_AllFiles" / "CXR_png" / "CHNCXR_0002_0.png")
    save_mask(both / "mask" / "mask" / "CHNCXR_0002_0_mask.png", square_mask())
    assert [item["case_id"] for item in read_chest_xray(both)] == ["CHNCXR_0002_0", "MCUCXR_0001_0"]


def test_malformed_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no images and no CXR_png with masks beside it"):
        read_chest_xray(tmp_path)
    (tmp_path / "masks").mkdir()
    with pytest.raises(FileNotFoundError, match="has no images and no CXR_png"):
        read_chest_xray(tmp_path)
    save_picture(tmp_path / "images" / "a.png")
    with pytest.raises(FileNotFoundError, match=r"none of the 1 pictures in .* has a mask"):
        read_chest_xray(tmp_path)
    save_mask(tmp_path / "masks" / "a.png", square_mask(7))
    with pytest.raises(ValueError, match=r"a\.png has label values up to 7, expected 0 and 255"):
        read_chest_xray(tmp_path)


def test_sample_counts(shared_data: Path) -> None:
    items = read_chest_xray(shared_data / "CHEST")
    assert len(items) == 80
    assert all(0.05 < item["areas"]["lung"] < 0.6 for item in items)
