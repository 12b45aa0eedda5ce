# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Compare a segmentation with its reference: overlap, volume and surface distances.

    python -m scripts.apps.reports.agreement --pred seg.nii.gz --label ground_truth.nii.gz [--value 1]

Both may be NIfTI, DICOM-SEG or folders of pictures; the latter two need ``--image``, the folder of the DICOM series.
"""

from __future__ import annotations

from pathlib import Path

import fire
import torch

from ...data.volume_reader import check_same_grid, read_volume
from ...metrics.volume_agreement import VolumeAgreement, volume_agreement

__all__ = ["compare_volumes"]


def compare_volumes(
    pred: str | Path, label: str | Path, image: str | Path | None = None, value: int | None = None
) -> VolumeAgreement:
    """Read two label maps of one grid and compare them.

    Args:
        pred: the segmentation.
        label: the reference.
        image: DICOM series of both, where they don't bring a grid of their own.
        value: label value to compare; None: whatever is above 0.
    """
    volumes = [read_volume(path, is_label=True, image=image) for path in (label, pred)]
    check_same_grid(*volumes)
    masks = [torch.from_numpy(volume.array) for volume in volumes]
    reference, mine = (mask > 0 if value is None else mask == value for mask in masks)
    return volume_agreement(mine, reference, volumes[0].spacing)


def _main(pred: str, label: str, image: str | None = None, value: int | None = None) -> None:
    """Print the figures of ``compare_volumes``."""
    figures = compare_volumes(pred, label, image, value)
    print(f"DICE {figures.dice:.3f}   RAVD {100 * figures.ravd:.3f} %   ", end="")
    print(f"ASSD {figures.assd:.3f} mm   MSSD {figures.mssd:.3f} mm")


if __name__ == "__main__":
    fire.Fire(_main)
