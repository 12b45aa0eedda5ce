# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Masks that a public layout doesn't hold in one file: written once, beside the data or into a folder of the user's.

Some sets have several masks per image (left and right lung, several lesions), others polygons. An item names one label
file, so these are turned into index pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ...files.atomic import replace_when_done
from ..mask_values import NUM_VALUES, foreground_values
from ..picture_reader import read_index

__all__ = ["is_current", "merge_masks", "save_mask"]

MERGED_FOLDER = "merged_masks"


def merge_masks(sources: Sequence[Path], target: Path) -> Path:
    """Write the union of masks of one class as one PNG (0 and 255), unless it is there and newer than all of them.

    Raises:
        ValueError: when the masks differ in size, or one of them is broken.
        OSError: when the target can't be written.
    """
    if is_current(target, sources):
        return target
    masks = [read_index(source) for source in sources]
    for source, mask in zip(sources, masks, strict=True):
        if mask.shape != masks[0].shape:
            raise ValueError(
                f"{source} has {mask.shape[0]} x {mask.shape[1]} pixels (rows x columns), {sources[0]}, another mask "
                f"of the same image, {masks[0].shape[0]} x {masks[0].shape[1]}"
            )
    union = np.zeros(masks[0].shape, bool)
    for source, mask in zip(sources, masks, strict=True):
        union |= np.isin(mask, foreground_values(np.bincount(mask.ravel(), minlength=NUM_VALUES), source))
    return save_mask(target, union.astype(np.uint8) * 255)


def save_mask(target: Path, mask: np.ndarray) -> Path:
    """Write an index picture, uint8 (H, W), whole or not at all."""
    try:
        with replace_when_done(target) as draft:
            Image.fromarray(mask).save(draft, format="PNG")
    except OSError as error:
        raise OSError(
            f"cannot write the mask {target}: {error.strerror or error}; choose another folder with mask_dir"
        ) from error
    return target


def is_current(target: Path, sources: Sequence[Path]) -> bool:
    """Whether a derived file is there and not older than what it was made of."""
    if not target.is_file():
        return False
    written = target.stat().st_mtime_ns
    return all(source.stat().st_mtime_ns <= written for source in sources)
