# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A figure of a volume: which slices to show, and how they are turned upright."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.data.meta_tensor import MetaTensor
from monai.transforms.io.array import LoadImage
from monai.transforms.spatial.array import Orientation
from numpy.typing import NDArray

from ...labels import NOT_ANNOTATED
from .figures import OverlaySlice, draw_slices

__all__ = ["choose_slices", "draw_volume", "draw_volume_files"]


def draw_volume(
    path: str | os.PathLike[str],
    image: NDArray[Any],
    pred: NDArray[Any] | None,
    truth: NDArray[Any] | None,
    *,
    labels: Mapping[int, str],
    annotated: Sequence[int] = (),
    num_slices: int = 6,
    pixdim: Sequence[float] = (1.0, 1.0, 1.0),
    title: str = "",
    apart: bool = False,
) -> Path:
    """Draw slices of a volume, evenly over the labels' extent and the annotated ones among them.

    Args:
        path: PNG file.
        image: (X, Y, Z) in the orientation LPS: x to the patient's left, y to the back, z to the head.
        pred: label map of the same shape, or None.
        truth: label map of the same shape, or None.
        labels: label value -> name.
        annotated: indices of annotated slices along z.
        num_slices: how many to draw.
        pixdim: spacing along x, y, z in mm.
        title: above everything.
        apart: image, prediction and truth below each other instead of one overlay.
    """
    maps = [each for each in (pred, truth) if each is not None]
    for each in maps:
        if each.shape != image.shape:
            raise ValueError(f"the label map's shape {each.shape} is not the image's {image.shape}")
    areas = np.zeros(image.shape[2])
    for each in maps:
        areas += np.isin(each, list(labels)).sum(axis=(0, 1))
    slices = [
        OverlaySlice(
            image[:, :, index].T,
            None if pred is None else pred[:, :, index].T,
            None if truth is None else truth[:, :, index].T,
            f"slice {index}",
            index in annotated,
        )
        for index in choose_slices(areas, annotated, num_slices)
    ]
    aspect = pixdim[1] / pixdim[0]
    return draw_slices(path, slices, labels=labels, columns=num_slices, title=title, pixel_aspect=aspect, apart=apart)


def draw_volume_files(
    path: str | os.PathLike[str],
    image_file: str | os.PathLike[str],
    pred_file: str | os.PathLike[str] | None = None,
    truth_file: str | os.PathLike[str] | None = None,
    *,
    labels: Mapping[int, str],
    annotation_file: str | os.PathLike[str] | None = None,
    num_slices: int = 6,
    title: str = "",
    apart: bool = False,
) -> Path:
    """Draw a volume and its label maps from their files (NIfTI, or what MONAI reads), as ``draw_volume`` does.

    Args:
        path: PNG file.
        image_file: the volume.
        pred_file: predicted label map on its grid, or None.
        truth_file: true label map on its grid, or None.
        labels: label value -> name.
        annotation_file: label map whose slices with a label (255 = not annotated) were the annotated ones.
        num_slices: how many to draw.
        title: above everything.
        apart: image, prediction and truth below each other instead of one overlay.
    """
    image = _load(image_file)
    pred, truth, annotation = (
        None if file is None else np.asarray(_load(file)[0]) for file in (pred_file, truth_file, annotation_file)
    )
    annotated: Sequence[int] = ()
    if annotation is not None:
        annotated = np.flatnonzero(((annotation != 0) & (annotation != NOT_ANNOTATED)).any(axis=(0, 1))).tolist()
    return draw_volume(
        path,
        np.asarray(image[0]),
        pred,
        truth,
        labels=labels,
        annotated=annotated,
        num_slices=num_slices,
        pixdim=image.pixdim.tolist(),
        title=title,
        apart=apart,
    )


def choose_slices(areas: NDArray[Any], annotated: Sequence[int], number: int) -> list[int]:
    """Choose slices evenly over the labels' extent; each annotated one takes the place of the nearest.

    The outermost slices, which hold the first and last hundredth of all labelled pixels, show little and are left out.

    Args:
        areas: (Z,) labelled pixels per slice; where there are none at all, every slice counts alike.
        annotated: indices that must be among the chosen (as far as ``number`` allows).
        number: how many.
    """
    share = np.cumsum(areas if np.any(areas) else np.ones(len(areas)))
    share = share / share[-1]
    first, last = int(np.searchsorted(share, 0.01)), int(np.searchsorted(share, 0.99))
    free = np.unique(np.linspace(first, last, min(number, last - first + 1)).round().astype(int)).tolist()
    fixed = [int(index) for index in annotated[:number]]
    for index in fixed:
        if free:
            free.remove(min(free, key=lambda each: abs(each - index)))
    return sorted({*free, *fixed})


def _load(file: str | os.PathLike[str]) -> MetaTensor:
    upright = Orientation("LPS")(LoadImage(ensure_channel_first=True)(file))
    if not isinstance(upright, MetaTensor):
        raise TypeError(f"{file} was read without its grid; MONAI's set_track_meta must be on")
    return upright
