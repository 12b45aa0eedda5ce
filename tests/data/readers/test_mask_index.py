# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scripts.data import read_voc2012
from scripts.data.readers import mask_index
from scripts.data.readers.mask_index import MaskIndex, count_values

from ..conftest import save_mask, square_mask


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the masks that are decoded."""
    names: list[str] = []
    read = mask_index.read_index

    def note(path: str | Path) -> np.ndarray:
        names.append(Path(path).name)
        return read(path)

    monkeypatch.setattr(mask_index, "read_index", note)
    return names


def test_a_set_is_decoded_once(voc_folder: Path, tmp_path: Path, decoded: list[str]) -> None:
    file = tmp_path / "cache" / "voc.json"
    plain = read_voc2012(voc_folder)
    assert len(decoded) == 4
    assert read_voc2012(voc_folder, index_file=file) == plain
    assert len(decoded) == 8
    assert read_voc2012(voc_folder, index_file=file) == plain
    assert len(decoded) == 8
    read_voc2012(voc_folder, "val", index_file=file)
    assert sorted(decoded[8:]) == ["e.png", "f.png"]  # threads decode them in any order
    assert len(json.loads(file.read_text())) == 6
    assert [path.name for path in file.parent.iterdir()] == ["voc.json"]


def test_counts_are_those_of_the_mask(tmp_path: Path) -> None:
    label = save_mask(tmp_path / "a.png", square_mask(7))
    for _ in range(2):
        with MaskIndex(tmp_path / "index.json") as masks:
            shape, counts = masks.count_values(label)
        assert shape == (12, 16)
        np.testing.assert_array_equal(counts, count_values(label)[1])
        assert counts[7] == 36
        assert counts.shape == (256,)


def test_another_content_is_read_whatever_its_name_and_time(tmp_path: Path, decoded: list[str]) -> None:
    label = save_mask(tmp_path / "a.png", square_mask(7))
    with MaskIndex(tmp_path / "index.json") as masks:
        masks.count_values(label)
    moved = label.rename(tmp_path / "b.png")
    with MaskIndex(tmp_path / "index.json") as masks:
        masks.count_values(moved)
    assert decoded == ["a.png"]
    save_mask(moved, square_mask(8))
    with MaskIndex(tmp_path / "index.json") as masks:
        assert masks.count_values(moved)[1][8] == 36
    assert decoded == ["a.png", "b.png"]


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 3}', '{"a": [2, 2, {"1": 3}]}'])
def test_a_broken_index_is_made_anew(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    label, file = save_mask(tmp_path / "a.png", square_mask(7)), tmp_path / "index.json"
    file.write_text(content)
    with MaskIndex(file) as masks:
        assert masks.count_values(label)[1][7] == 36
    assert "index.json is no index of masks" in caplog.text
    assert len(json.loads(file.read_text())) == 1


def test_an_index_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    label = save_mask(tmp_path / "a.png", square_mask(7))
    (tmp_path / "file").write_text("in the way")
    with MaskIndex(tmp_path / "file" / "index.json") as masks:
        masks.count_values(label)
    assert "masks will be read again at the next start" in caplog.text


def test_what_was_read_before_an_error_is_kept(tmp_path: Path) -> None:
    label, file = save_mask(tmp_path / "a.png", square_mask(7)), tmp_path / "index.json"
    (tmp_path / "b.png").write_bytes(b"no picture")

    def read(*paths: Path) -> None:
        with MaskIndex(file) as masks:
            for path in paths:
                masks.count_values(path)

    with pytest.raises(ValueError, match=r"b\.png is not a readable picture"):
        read(label, tmp_path / "b.png")
    assert len(json.loads(file.read_text())) == 1
    with pytest.raises(FileNotFoundError, match=r"no picture .*c\.png"):
        read(tmp_path / "c.png")
