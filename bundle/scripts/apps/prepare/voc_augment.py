# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``SegmentationClassAug``: the masks of VOC 2012 and, where it has none, those of SBD (Hariharan et al. 2011)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from ...data.items import read_in_threads
from ...files.atomic import replace_when_done, write_text
from ...files.read_json import read_text

__all__ = ["augment_voc2012"]

VOC_FOLDER = "VOCdevkit/VOC2012"
SBD_FOLDER = "benchmark_RELEASE/dataset/cls"
SPLIT = "trainaug"
_NUM_CLASSES = 20


def augment_voc2012(root: Path) -> int:
    """Write the masks, and ``trainaug.txt``: all images with a mask but those of VOC's own val.

    Args:
        root: folder that both archives were unpacked into.

    Returns:
        The number of training images (10582 for the complete sets).

    Raises:
        FileNotFoundError: when one of the sets isn't there.
        ValueError: when a mask of SBD is broken.
    """
    voc, sbd = root / VOC_FOLDER, root / SBD_FOLDER
    for folder in (voc / "SegmentationClass", sbd):
        if not folder.is_dir():
            raise FileNotFoundError(f"no folder {folder}, which SegmentationClassAug is made of")
    target, lists = voc / "SegmentationClassAug", voc / "ImageSets" / "Segmentation"
    own = {path.stem: path for path in (voc / "SegmentationClass").glob("*.png")}
    added = {path.stem: path for path in sbd.glob("*.mat") if path.stem not in own}

    def write(name: str) -> dict[str, Any]:
        path = target / f"{name}.png"
        if not path.is_file():
            with replace_when_done(path) as partial:
                if name in own:
                    shutil.copyfile(own[name], partial)
                else:
                    Image.fromarray(_read_sbd(added[name])).save(partial, format="PNG")
        return {}

    names = sorted([*own, *added])
    read_in_threads(write, names)
    val = set(read_text(lists / "val.txt").split())
    train = [name for name in names if name not in val]
    write_text(lists / f"{SPLIT}.txt", "".join(f"{name}\n" for name in train))
    return len(train)


def _read_sbd(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8 class values of one of SBD's Matlab files."""
    try:
        label = np.asarray(loadmat(path)["GTcls"]["Segmentation"][0, 0])
    except (OSError, ValueError, KeyError, IndexError, TypeError, NotImplementedError, MatReadError) as error:
        raise ValueError(f"{path} is not a readable mask of SBD: {error!r}") from error
    if label.ndim != 2 or label.max(initial=0) > _NUM_CLASSES:
        raise ValueError(
            f"{path} has the shape {label.shape} and values up to {label.max(initial=0)}, expected 0 to 20"
        )
    return label.astype(np.uint8)
