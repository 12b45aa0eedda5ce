# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CHAOS as it is downloaded, small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ..dicom_files import SLICES, stored_volume, write_masks, write_series

GREYS = {"liver": 63, "right kidney": 126, "left kidney": 189, "spleen": 252}


def organs(seed: int) -> np.ndarray:
    """(columns, rows, slices): the liver from slice 1 on, each other organ on one slice; none on slice 0."""
    label = np.zeros((7, 6, SLICES), np.uint8)
    label[0, :3, 1:] = GREYS["liver"]
    for z, name in enumerate(("right kidney", "left kidney", "spleen"), start=1):
        label[2 + seed % 4, z, z] = GREYS[name]
    return label


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """Train_Sets with MR cases 1, 2, 10 and CT cases 5, 6; names of the CT's files run from head to feet."""
    root = tmp_path / "CHAOS"
    for seed, case in enumerate(("1", "2", "10")):
        folder = root / "Train_Sets" / "MR" / case
        label, names = organs(seed), [f"IMG-0002-{z + 1:05d}" for z in range(SLICES)]
        write_series(folder / "T2SPIR" / "DICOM_anon", stored_volume(seed), names=[f"{name}.dcm" for name in names])
        write_masks(folder / "T2SPIR" / "Ground", label, [f"{name}.png" for name in names], range(SLICES))
        for offset, phase in enumerate(("OutPhase", "InPhase"), start=1):
            files = [f"IMG-0004-{2 * z + offset:05d}.dcm" for z in range(SLICES)]
            write_series(folder / "T1DUAL" / "DICOM_anon" / phase, stored_volume(10 * offset + seed), names=files)
        pictures = [f"IMG-0004-{2 * z + 2:05d}.png" for z in range(SLICES)]
        write_masks(folder / "T1DUAL" / "Ground", label, pictures, range(SLICES))
    for seed, case in enumerate(("5", "6")):
        folder = root / "Train_Sets" / "CT" / case
        files = [f"i{SLICES - 1 - z:04d},0000b.dcm" for z in range(SLICES)]

        def edit(dataset, z):  # type: ignore[no-untyped-def]
            dataset.RescaleSlope, dataset.RescaleIntercept = 2, -200

        write_series(folder / "DICOM_anon", stored_volume(seed), names=files, edit=edit)
        liver = np.where(organs(seed) == GREYS["liver"], 255, 0).astype(np.uint8)
        pictures = [f"liver_GT_{number:03d}.png" for number in range(SLICES)]
        write_masks(folder / "Ground", liver, pictures, range(SLICES)[::-1])
    return root
