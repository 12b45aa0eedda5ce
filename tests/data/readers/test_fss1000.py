# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.data.readers.fss1000 import fss1000_classes, fss1000_prompts, read_fss1000
from scripts.text import read_prompts

from ..conftest import save_mask, save_picture, square_mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes in the folders of the download; masks of 0/255 in three channels, and of 0/1."""
    root = tmp_path / "fewshot_data" / "fewshot_data"
    for number in (1, 2, 10):
        save_picture(root / "abacus" / f"{number}.jpg", seed=number)
        Image.fromarray(np.stack([square_mask()] * 3, -1)).save(root / "abacus" / f"{number}.png")
    save_picture(root / "zebra_finch" / "1.jpg")
    save_mask(root / "zebra_finch" / "1.png", square_mask(1))
    return tmp_path


def test_folders_are_classes(folder: Path) -> None:
    items = read_fss1000(folder)
    assert [item["case_id"] for item in items] == ["abacus/1", "abacus/2", "abacus/10", "zebra_finch/1"]
    assert all(area == pytest.approx(36 / 192) for item in items for area in item["areas"].values())
    assert items[-1]["classes"] == {"zebra_finch": [1]}
    assert len(read_fss1000(folder, ["zebra_finch"])) == 1


def test_test_classes_from_the_authors_list(folder: Path) -> None:
    (folder / "fewshot_data" / "fewshot_data" / "fss_test_set.txt").write_text("zebra_finch\n")
    assert fss1000_classes(folder, "novel") == ["zebra_finch"]
    assert fss1000_classes(folder, "base") == ["abacus"]
    own = folder / "mine.txt"
    own.write_text("abacus\nunicorn\n")
    with pytest.raises(ValueError, match=r"mine\.txt: FSS-1000 .* has no class 'unicorn'"):
        fss1000_classes(folder, "novel", own)
    with pytest.raises(FileNotFoundError, match=r"no list of test classes .*none\.txt"):
        fss1000_classes(folder, "novel", folder / "none.txt")


def test_without_a_list_a_quarter_is_held_out(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"class_{number:02d}").mkdir()
        (tmp_path / f"class_{number:02d}" / "1.jpg").write_bytes(b"")
    base, novel = fss1000_classes(tmp_path, "base"), fss1000_classes(tmp_path, "novel")
    assert (len(base), len(novel)) == (38, 12)
    assert not set(base) & set(novel)


def test_descriptions_by_name(folder: Path) -> None:
    prompts = read_prompts(fss1000_prompts(folder, folder / "cache" / "fss1000.json"))
    assert list(prompts.sentences) == ["abacus", "zebra_finch"]
    for name, (sentence,) in prompts.sentences.items():
        assert re.fullmatch(rf"A photo of {name} in which [a-z][^.]{{20,}}\.", sentence)
    assert "zebra finch" in prompts.sentences["zebra_finch"][0]


def test_sample_counts(shared_data: Path) -> None:
    items = read_fss1000(shared_data / "FSS1000")
    assert len(items) == 10
    assert {name for item in items for name in item["classes"]} == {"african_elephant", "eiffel_tower"}
