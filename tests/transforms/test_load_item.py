# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.data import CacheDataset
from PIL import Image

from scripts.transforms import LoadItemd, LoadVolumed, ScaleIntensityBodyd, volume_slice


class CountingLoad(LoadVolumed):
    """Counts how often a volume is read."""

    count = 0

    def __call__(self, data: Any) -> Any:
        type(self).count += 1
        return super().__call__(data)


@pytest.fixture
def slices(tmp_path: Path) -> list[dict[str, Any]]:
    """All slices of two volumes of four slices, case by case."""
    items = []
    for case in range(2):
        values = np.random.default_rng(case).integers(0, 900, (6, 5, 4)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(values, np.diag([-1, -1, 1, 1])), tmp_path / f"i{case}.nii.gz")
        nibabel.save(
            nibabel.Nifti1Image((values > 500).astype(np.uint8), np.diag([-1, -1, 1, 1])), tmp_path / f"l{case}.nii.gz"
        )
        paths = {"image": str(tmp_path / f"i{case}.nii.gz"), "label": str(tmp_path / f"l{case}.nii.gz")}
        items.extend({**paths, "case_id": str(case), "slice": z, "num_slices": 4} for z in range(4))
    return items


def loader(**arguments: Any) -> LoadItemd:
    CountingLoad.count = 0
    return LoadItemd(volume_transforms=[CountingLoad(("image", "label")), ScaleIntensityBodyd("image")], **arguments)


def test_slices_of_a_scaled_volume(slices: list[dict[str, Any]]) -> None:
    load = loader()
    volume = ScaleIntensityBodyd("image")(LoadVolumed(("image", "label"))(slices[0]))
    for item in slices[:4]:
        loaded = load(item)
        expected = volume_slice(volume["image"], item["slice"])
        assert loaded["image"].shape == (3, 5, 6)
        assert all(torch.equal(channel, expected[0]) for channel in loaded["image"])
        assert torch.equal(loaded["label"], volume_slice(volume["label"], item["slice"]))
        assert loaded["label"].dtype == torch.uint8
        assert loaded["case_id"] == "0"


@pytest.mark.parametrize(("volumes_kept", "reads"), [(1, 8), (2, 2)])
def test_a_volume_is_read_once_while_it_is_kept(slices: list[dict[str, Any]], volumes_kept: int, reads: int) -> None:
    load = loader(volumes_kept=volumes_kept)
    for first, second in zip(slices[:4], slices[4:], strict=True):
        load(first)
        load(second)
    assert CountingLoad.count == reads


def test_threads_of_a_cache_share_the_volumes(slices: list[dict[str, Any]]) -> None:
    load = loader()
    cache = CacheDataset(slices, load, num_workers=4, progress=False)
    assert CountingLoad.count <= 3
    alone = loader()
    assert all(torch.equal(cache[n]["image"], alone(item)["image"]) for n, item in enumerate(slices))


def test_a_copy_for_another_process_has_its_own_lock(slices: list[dict[str, Any]]) -> None:
    load = LoadItemd(volume_transforms=[LoadVolumed(("image", "label"))])
    expected = load(slices[0])
    copy = pickle.loads(pickle.dumps(load))
    assert not copy._volumes
    assert torch.equal(copy(slices[0])["image"], expected["image"])


def test_pictures_and_masks(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values[..., 0]).save(tmp_path / "m.png")
    loaded = LoadItemd()({"image": str(tmp_path / "a.png"), "label": str(tmp_path / "m.png"), "classes": {}})
    torch.testing.assert_close(loaded["image"], torch.tensor(values).permute(2, 0, 1) / 255)
    assert torch.equal(loaded["label"], torch.tensor(values[None, ..., 0]))
    alone = LoadItemd(allow_missing_keys=True)({"image": str(tmp_path / "a.png")})
    assert torch.equal(alone["image"], loaded["image"])


def test_errors(tmp_path: Path, slices: list[dict[str, Any]]) -> None:
    Image.new("RGB", (7, 5)).save(tmp_path / "a.png")
    Image.new("L", (6, 5)).save(tmp_path / "m.png")
    with pytest.raises(ValueError, match=r"a\.png has 5 x 7, .*m\.png has 5 x 6"):
        LoadItemd()({"image": str(tmp_path / "a.png"), "label": str(tmp_path / "m.png")})
    with pytest.raises(ValueError, match=r"i0\.nii\.gz is a volume, but LoadItemd has no volume_transforms"):
        LoadItemd()(slices[0])
    with pytest.raises(ValueError, match="volumes_kept must be at least 1"):
        LoadItemd(volumes_kept=0)
