# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The MNI152 brain (ICBM 2009a T1) with its grey and white matter, which nilearn carries inside its package."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from ...files.write_folder import write_folder
from ..items import Item, volume_item

__all__ = ["MNI152_VALUES", "read_mni152"]

MNI152_VALUES = {"white matter": [1], "grey matter": [2]}
SLICES_BEYOND_BRAIN = 2


def read_mni152(dataset_dir: str | Path, resolution: int = 2) -> list[Item]:
    """Describe the one volume; it is written to the folder first where it isn't there yet.

    White matter is where its map exceeds one half, grey matter where that map does and white matter isn't. Slices
    outside the brain are cut off but for a small margin.

    Args:
        dataset_dir: folder for ``mni152_t1.nii.gz`` and ``mni152_tissue.nii.gz``.
        resolution: voxel size in mm, a whole number; the package holds 1 mm.
    """
    folder = Path(dataset_dir).expanduser() / f"{resolution}mm"
    image, label = folder / "mni152_t1.nii.gz", folder / "mni152_tissue.nii.gz"
    if not (image.is_file() and label.is_file()):
        write_folder(folder, lambda draft: _write(draft / image.name, draft / label.name, resolution))
    return [volume_item(image, label, "mni152", class_values=MNI152_VALUES)]


def _write(image: Path, label: Path, resolution: int) -> None:
    datasets = _nilearn_datasets()
    template = datasets.load_mni152_template(resolution=resolution)
    grey = datasets.load_mni152_gm_template(resolution=resolution).get_fdata(dtype=np.float32)
    white = datasets.load_mni152_wm_template(resolution=resolution).get_fdata(dtype=np.float32)
    brain = datasets.load_mni152_brain_mask(resolution=resolution).get_fdata(dtype=np.float32) > 0
    tissue = np.where(white > 0.5, 1, np.where(grey > 0.5, 2, 0)).astype(np.uint8)

    occupied = np.flatnonzero(brain.any(axis=(0, 1)))
    kept = slice(max(0, int(occupied[0]) - SLICES_BEYOND_BRAIN), int(occupied[-1]) + SLICES_BEYOND_BRAIN + 1)
    nibabel.save(template.slicer[:, :, kept], image)
    nibabel.save(nibabel.Nifti1Image(tissue, template.affine).slicer[:, :, kept], label)


def _nilearn_datasets() -> Any:
    try:
        return importlib.import_module("nilearn.datasets")
    except ImportError as error:
        raise ImportError("the MNI152 volume comes with nilearn, which is missing: pip install nilearn") from error
