# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Pictures of ground truth go to the slices of their DICOM files, in either order of the names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.data.dicom.label_stack import is_label_stack
from scripts.data.volume_reader import load_volume

from ..dicom_files import SLICES, stored_volume, write_enhanced, write_masks, write_series

LABEL = (stored_volume() % 5).astype(np.uint8)  # differs from slice to slice
PICTURES = [f"liver_GT_{number:03d}.png" for number in range(SLICES)]


@pytest.mark.parametrize("order", [range(SLICES), range(SLICES)[::-1]], ids=["feet to head", "head to feet"])
@pytest.mark.parametrize("digits", [1, 4])
def test_pictures_follow_the_names_of_the_files(tmp_path: Path, order: range, digits: int) -> None:
    """The file names count 8, 9, 10, ... with the position or against it; the pictures count 0, 1, 2, ..."""
    names = [f"i{8 + number:0{digits}d},0000b.dcm" for number in range(SLICES)]
    write_series(tmp_path / "s", stored_volume(), names=[names[list(order).index(z)] for z in range(SLICES)])
    ground = write_masks(tmp_path / "g", LABEL, PICTURES, order)
    volume = load_volume(ground, is_label=True, image=tmp_path / "s")
    np.testing.assert_array_equal(volume[0].numpy(), LABEL)
    assert volume.affine.equal(load_volume(tmp_path / "s").affine)


def test_equal_names_decide(tmp_path: Path) -> None:
    """In the order of CHAOS MR, whose pictures have the names of the files."""
    names = [f"IMG-0004-{number:05d}" for number in (2, 6, 4, 10, 8)]
    write_series(tmp_path / "s", stored_volume(), names=[f"{name}.dcm" for name in names])
    ground = write_masks(tmp_path / "g", LABEL, [f"{name}.png" for name in names], range(SLICES))
    np.testing.assert_array_equal(load_volume(ground, is_label=True, image=tmp_path / "s")[0].numpy(), LABEL)


def test_other_phase_shares_the_pictures(tmp_path: Path) -> None:
    """Files 1, 3, 5, ... of the out phase belong to the pictures 2, 4, 6, ... of the in phase."""
    write_series(tmp_path / "s", stored_volume(), names=[f"IMG-{2 * z + 1:05d}.dcm" for z in range(SLICES)])
    ground = write_masks(tmp_path / "g", LABEL, [f"IMG-{2 * z + 2:05d}.png" for z in range(SLICES)], range(SLICES))
    np.testing.assert_array_equal(load_volume(ground, is_label=True, image=tmp_path / "s")[0].numpy(), LABEL)


def test_frames_of_one_file(tmp_path: Path) -> None:
    order = (3, 0, 4, 1, 2)
    path = write_enhanced(tmp_path / "s" / "e.dcm", stored_volume(), order)
    ground = write_masks(tmp_path / "g", LABEL, PICTURES, order)
    np.testing.assert_array_equal(load_volume(ground, is_label=True, image=path)[0].numpy(), LABEL)


def test_what_is_a_stack(tmp_path: Path) -> None:
    write_series(tmp_path / "s", stored_volume())
    write_masks(tmp_path / "s", LABEL, ["a.png"], [0])
    ground = write_masks(tmp_path / "g", LABEL, ["a.png"], [0])
    (tmp_path / "e").mkdir()
    assert [is_label_stack(path) for path in (ground, tmp_path / "s", tmp_path / "e", ground / "a.png")] == [
        True,
        False,
        False,
        False,
    ]


def test_sample_liver_lies_in_tissue(shared_data: Path) -> None:
    """Against the order of the positions the mask would lie on air and bone."""
    sample = shared_data / "CHAOS_CT_sample"
    image = load_volume(sample / "DICOM_anon")
    liver = load_volume(sample / "Ground", is_label=True, image=sample / "DICOM_anon")
    inside = image.as_tensor()[liver.as_tensor() > 0]
    assert 120 < inside.median() < 160
    assert ((inside > 50) & (inside < 250)).float().mean() > 0.98
