# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import logging
from pathlib import Path

import pytest

from scripts.data.chest_xray import read_chest_xray

from .conftest import save_mask, save_picture, square_mask


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


def test_malformed_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no masks"):
        read_chest_xray(tmp_path)
    (tmp_path / "masks").mkdir()
    with pytest.raises(FileNotFoundError, match="neither images nor CXR_png"):
        read_chest_xray(tmp_path)
    save_picture(tmp_path / "images" / "a.png")
    with pytest.raises(FileNotFoundError, match=r"none of the 1 pictures in .* has a mask"):
        read_chest_xray(tmp_path)
    save_mask(tmp_path / "masks" / "a.png", square_mask(1))
    with pytest.raises(ValueError, match=r"a\.png has label values up to 1, expected 0 and 255"):
        read_chest_xray(tmp_path)


def test_sample_counts(shared_data: Path) -> None:
    items = read_chest_xray(shared_data / "CHEST")
    assert len(items) == 80
    assert all(0.05 < item["areas"]["lung"] < 0.6 for item in items)
