# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.data.readers.chaos_mr import read_chaos_mr

from ..conftest import ORGAN_SLICES, save_volume


def test_volumes_in_natural_order_with_their_organs(chaos_folder: Path) -> None:
    volumes = read_chaos_mr(chaos_folder)
    assert [volume["case_id"] for volume in volumes] == ["1", "2", "3", "10"]
    names = dict(zip((1, 2, 3, 4), ("liver", "right kidney", "left kidney", "spleen"), strict=True))
    for volume in volumes:
        assert volume["classes"] == {name: [value] for value, name in names.items()}
        for value, name in names.items():
            shown = [z for z, area in enumerate(volume["slice_areas"][name]) if area > 0]
            assert shown == list(ORGAN_SLICES[value])


def test_chosen_classes_and_cases(chaos_folder: Path) -> None:
    volumes = read_chaos_mr(chaos_folder, classes=["spleen"], cases=[10, "2"])
    assert [volume["case_id"] for volume in volumes] == ["10", "2"]
    assert volumes[0]["classes"] == {"spleen": [4]}
    assert list(volumes[0]["slice_areas"]) == ["spleen"]


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        ("folder", FileNotFoundError, r"expected there: image_<case>\.nii\.gz"),
        ("empty", FileNotFoundError, r"has no image_<case>\.nii\.gz"),
        ("label", FileNotFoundError, r"image_2\.nii\.gz has no label: expected .*label_2\.nii\.gz"),
        ("value", ValueError, r"label_2\.nii\.gz has unknown label values \[9\]; expected 0-4"),
        ("shape", ValueError, r"image_2.*label_2.*different shapes"),
        ("corrupt", ValueError, r"label_2\.nii\.gz is not a readable NIfTI"),
        ("corrupt image", ValueError, r"image_2\.nii\.gz is not a readable NIfTI"),
    ],
)
def test_malformed_folders(chaos_folder: Path, damage: str, error: type[Exception], message: str) -> None:
    label = chaos_folder / "label_2.nii.gz"
    if damage == "folder":
        chaos_folder = chaos_folder / "nothing"
    elif damage == "empty":
        for path in chaos_folder.iterdir():
            path.unlink()
    elif damage == "label":
        label.unlink()
    elif damage == "value":
        save_volume(label, np.full((16, 12, 10), 9, np.uint8))
    elif damage == "shape":
        save_volume(label, np.ones((16, 12, 9), np.uint8))
    elif damage == "corrupt":
        label.write_bytes(label.read_bytes()[:50])
    else:
        image = chaos_folder / "image_2.nii.gz"
        image.write_bytes(image.read_bytes()[:-2000])
    with pytest.raises(error, match=message):
        read_chaos_mr(chaos_folder)


def test_unknown_case(chaos_folder: Path) -> None:
    with pytest.raises(ValueError, match="no case 5; its cases are 1, 2, 3, 10"):
        read_chaos_mr(chaos_folder, cases=[5])


def test_sample_volumes(shared_data: Path) -> None:
    volumes = read_chaos_mr(shared_data / "CHAOS")
    assert [volume["case_id"] for volume in volumes] == ["1", "2", "3", "8", "20", "21", "31", "34", "37", "39"]
    assert volumes[0]["num_slices"] == 37
    assert sum(volumes[0]["slice_areas"]["liver"]) * 256 * 256 == pytest.approx(153742)  # cases.csv of the sample
    assert all(set(volume["classes"]) == {"liver", "right kidney", "left kidney", "spleen"} for volume in volumes)
