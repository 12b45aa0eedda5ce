# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A drawn volume with one painted slice, segmented as ``segprompt segment`` does it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nibabel import nifti1
from numpy.typing import NDArray

__all__ = ["EXPECTED_DICE", "self_test", "write_case"]

EXPECTED_DICE = 0.9
_SHAPE = (64, 64, 10)
_PAINTED = 5
_SPACING = (2.0, 2.0, 6.0)


def self_test(folder: Path, *, image_size: int = 256) -> float:
    """Segment the drawn volume.

    Args:
        folder: of the files, existing.
        image_size: side of the square that the backbone sees.

    Returns:
        Mean Dice of its two labels over the slices that were not painted.
    """
    image, annotation, label = write_case(folder)
    from ..inferers.volume.files import segment_files

    segment_files(image, annotation, folder / "out", image_size=image_size)
    found = np.asarray(nifti1.load(folder / "out" / "drawn_seg.nii.gz").dataobj)  # type: ignore[no-untyped-call]
    others = np.arange(_SHAPE[2]) != _PAINTED
    return float(np.mean([_dice(found[..., others] == value, label[..., others] == value) for value in (1, 2)]))


def write_case(folder: Path) -> tuple[Path, Path, NDArray[np.uint8]]:
    """Write the volume and its annotation; give their paths and the whole truth (X, Y, Z)."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in _SHAPE), indexing="ij")
    label = np.zeros(_SHAPE, np.uint8)
    label[(x + 0.35) ** 2 / 0.15 + y**2 / 0.2 + z**2 / 2 < 1] = 1
    label[(x - 0.4) ** 2 / 0.08 + y**2 / 0.1 + z**2 < 1] = 2
    noise = np.random.default_rng(0).normal(0, 20, _SHAPE)
    volume = (100 + 250.0 * label + noise).astype(np.float32)
    annotation = np.zeros_like(label)
    annotation[..., _PAINTED] = label[..., _PAINTED]
    affine = np.diag([*_SPACING, 1.0])
    paths = folder / "drawn.nii.gz", folder / "annotation.nii.gz"
    for path, array in zip(paths, (volume, annotation), strict=True):
        nifti1.save(nifti1.Nifti1Image(array, affine), path)  # type: ignore[no-untyped-call]
    return *paths, label


def _dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return 2 * float((found & truth).sum()) / float(found.sum() + truth.sum())
