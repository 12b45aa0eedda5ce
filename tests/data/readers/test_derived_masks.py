# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Masks that are put together once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.data.readers.derived_masks import is_current, merge_masks
from scripts.data.readers.derived_masks import save_mask as write_mask

from ..conftest import save_mask


def parts(folder: Path) -> list[Path]:
    """Two masks that overlap in one pixel, of values 255 and 1."""
    left, right = np.zeros((3, 4), np.uint8), np.zeros((3, 4), np.uint8)
    left[:, :2] = 255
    right[1, 1:] = 1
    return [save_mask(folder / "left.png", left), save_mask(folder / "right.png", right)]


def read(path: Path) -> list[list[int]]:
    return np.asarray(Image.open(path)).tolist()


def test_the_union_of_all_masks(tmp_path: Path) -> None:
    target = merge_masks(parts(tmp_path), tmp_path / "new" / "merged.png")
    assert target == tmp_path / "new" / "merged.png"
    assert read(target) == [[255, 255, 0, 0], [255, 255, 255, 255], [255, 255, 0, 0]]
    assert [path.name for path in target.parent.iterdir()] == ["merged.png"]


def test_one_mask_and_empty_ones(tmp_path: Path) -> None:
    empty = save_mask(tmp_path / "empty.png", np.zeros((2, 2)))
    assert read(merge_masks([empty, empty], tmp_path / "a.png")) == [[0, 0], [0, 0]]
    one = save_mask(tmp_path / "one.png", np.array([[0, 255]]))
    assert read(merge_masks([one], tmp_path / "b.png")) == [[0, 255]]


def test_it_is_written_again_only_for_newer_sources(tmp_path: Path) -> None:
    sources, target = parts(tmp_path), tmp_path / "merged.png"
    assert not is_current(target, sources)
    merge_masks(sources, target)
    assert is_current(target, sources)
    own = save_mask(target, np.ones((1, 1)))
    merge_masks(sources, target)
    assert read(own) == [[1]]
    later = target.stat().st_mtime + 5
    os.utime(sources[1], (later, later))
    assert not is_current(target, sources)
    merge_masks(sources, target)
    assert len(read(target)) == 3


def test_a_source_of_the_same_time_is_not_newer(tmp_path: Path) -> None:
    sources, target = parts(tmp_path), save_mask(tmp_path / "merged.png", np.ones((1, 1)))
    for path in (*sources, target):
        os.utime(path, (1000, 1000))
    assert is_current(target, sources)


def test_masks_of_another_size_are_named(tmp_path: Path) -> None:
    sources = [*parts(tmp_path), save_mask(tmp_path / "odd.png", np.zeros((4, 3)))]
    with pytest.raises(
        ValueError,
        match=r"odd\.png has 4 x 3 pixels \(rows x columns\), .*left\.png, another mask of the same image, 3 x 4",
    ):
        merge_masks(sources, tmp_path / "merged.png")
    assert not (tmp_path / "merged.png").exists()


def test_a_broken_mask_is_named(tmp_path: Path) -> None:
    sources = parts(tmp_path)
    sources[1].write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"right\.png"):
        merge_masks(sources, tmp_path / "merged.png")


def test_a_folder_that_cannot_be_written_names_the_key(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"cannot write the mask .*merged\.png: .*choose another folder with mask_dir"):
        write_mask(tmp_path / "file" / "merged.png", np.zeros((2, 2), np.uint8))
