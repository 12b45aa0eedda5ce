# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from scripts.data.picture_reader import read_index
from scripts.data.readers.synthetic import SYNTHETIC_CLASSES, draw_picture, read_synthetic, synthetic_classes


def test_every_class_is_shown_at_a_fair_size(tmp_path: Path) -> None:
    items = read_synthetic(tmp_path, num_images=40, size=64)
    counts = Counter(name for item in items for name in item["classes"])
    assert len(SYNTHETIC_CLASSES) >= 8
    assert set(counts) == set(SYNTHETIC_CLASSES)
    assert min(counts.values()) >= 4
    for item in items:
        assert 1 <= len(item["classes"]) <= 2
        first = SYNTHETIC_CLASSES[int(item["case_id"]) % len(SYNTHETIC_CLASSES)]
        assert item["areas"][first] > 0.01  # drawn last, never hidden


def test_pictures_are_a_function_of_seed_and_number() -> None:
    picture, mask = draw_picture(3, 48, seed=1)
    again, mask_again = draw_picture(3, 48, seed=1)
    np.testing.assert_array_equal(picture, again)
    np.testing.assert_array_equal(mask, mask_again)
    assert (picture != draw_picture(3, 48, seed=2)[0]).any()
    assert (picture != draw_picture(4, 48, seed=1)[0]).any()


def test_an_object_differs_from_its_surroundings() -> None:
    """Texture or colour tells the objects: a picture without them would give a ratio of one."""
    ratios = []
    for number in range(10):
        picture, mask = draw_picture(number, 64, seed=0)
        inside, outside = picture[mask > 0].astype(float), picture[mask == 0].astype(float)
        ratios.append(np.abs(inside.mean(0) - outside.mean(0)).max() / 255)
    assert np.mean(ratios) > 0.1


def test_a_second_reading_uses_the_files(tmp_path: Path) -> None:
    first = read_synthetic(tmp_path, num_images=10, size=32)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    assert read_synthetic(tmp_path, num_images=10, size=32) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")} == times
    assert len(times) == 20
    assert read_index(first[0]["label"]).shape == (32, 32)


def test_an_unfinished_folder_is_drawn_again(tmp_path: Path) -> None:
    read_synthetic(tmp_path, num_images=10, size=32)
    folder = next(tmp_path.iterdir())
    (folder / "complete.json").unlink()
    (folder / "masks" / "0003.png").unlink()
    assert len(read_synthetic(tmp_path, num_images=10, size=32)) == 10


def test_a_removed_file_is_named(tmp_path: Path) -> None:
    read_synthetic(tmp_path, num_images=10, size=32)
    (next(tmp_path.iterdir()) / "masks" / "0003.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"0003\.png has no mask"):
        read_synthetic(tmp_path, num_images=10, size=32)


def test_held_out_classes(tmp_path: Path) -> None:
    base, novel = synthetic_classes("base"), synthetic_classes("novel")
    assert sorted(base + novel) == sorted(SYNTHETIC_CLASSES)
    items = read_synthetic(tmp_path, novel, num_images=20, size=32)
    assert {name for item in items for name in item["classes"]} <= set(novel)
    assert 0 < len(items) < 20
