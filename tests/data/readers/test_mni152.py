# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from scripts.data.readers.mni152 import read_mni152
from scripts.data.volume_reader import load_volume


def test_a_missing_nilearn_is_told_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nilearn.datasets", None)
    with pytest.raises(ImportError, match="pip install nilearn"):
        read_mni152(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_volume_and_tissue_from_the_package(tmp_path: Path) -> None:
    pytest.importorskip("nilearn")
    (item,) = read_mni152(tmp_path, resolution=4)
    assert item["classes"] == {"white matter": [1], "grey matter": [2]}
    image, label = load_volume(item["image"]), load_volume(item["label"], is_label=True)
    assert image.shape == label.shape
    np.testing.assert_allclose(image.affine.diagonal()[:3].abs(), [4, 4, 4])
    assert image[label == 1].mean() > image[label == 2].mean() > image[label == 0].mean()
    areas = np.array([item["slice_areas"][name] for name in item["classes"]])
    assert 0.02 < areas.mean() < 0.4
    assert item["num_slices"] < 189 / 4  # slices outside the brain are cut off


def test_the_written_volume_is_used_again(tmp_path: Path) -> None:
    pytest.importorskip("nilearn")
    (first,) = read_mni152(tmp_path, resolution=4)
    changed = Path(first["image"]).stat().st_mtime_ns
    assert read_mni152(tmp_path, resolution=4) == [first]
    assert Path(first["image"]).stat().st_mtime_ns == changed
