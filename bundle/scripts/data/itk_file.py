# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""NRRD and MetaImage files (``.nrrd``, ``.nhdr``, ``.mha``, ``.mhd``), read by SimpleITK.

A ``.seg.nrrd`` of 3D Slicer holds the box around its segments only. It is laid onto the image's grid where its voxels
lie on voxels of that grid, and refused elsewhere: nothing is resampled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ITK_SUFFIXES", "is_itk_name", "lay_onto", "read_itk"]

ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
_OFF_GRID = 0.1  # of a voxel
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def is_itk_name(path: str | Path) -> bool:
    """Whether the name is that of an NRRD or MetaImage file."""
    return str(path).lower().endswith(ITK_SUFFIXES)


def read_itk(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Array (X, Y, Z) of a file and its affine, to mm to the right, front and head.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: naming the file, when it can't be read, isn't 3D, or holds several values per voxel.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no volume {path}")
    import SimpleITK as sitk  # noqa: N813  # takes half a second

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        cause = str(error).strip().splitlines()[-1]
        raise ValueError(f"{path} is not a readable volume: {cause}") from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(
            f"{path} holds {image.GetNumberOfComponentsPerPixel()} values per voxel (colours, or segments that "
            "overlap), expected one"
        )
    if image.GetDimension() != 3:
        raise ValueError(f"{path} has {image.GetDimension()} axes, expected a 3D volume")
    lps = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    lps[:3, :3] = directions * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    array = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    return array, _TO_RAS @ lps


def lay_onto(
    label: NDArray[Any],
    affine: NDArray[np.float64],
    shape: tuple[int, ...],
    target: NDArray[np.float64],
    path: Path,
) -> NDArray[Any]:
    """A label map of another extent on the grid of its image, voxel on voxel.

    Args:
        label: (X, Y, Z), both grids in the canonical orientation.
        affine: of the label map.
        shape: of the image.
        target: affine of the image.
        path: of the label map, for messages.

    Returns:
        The label map with the image's shape; 0 outside of its own extent.

    Raises:
        ValueError: where the voxels don't lie on the image's, or a label lies outside of the image.
    """
    ends = np.vstack([np.zeros(3), np.diag(label.shape)])  # the first voxel, and one beyond the last along each axis
    corners = np.hstack([ends, np.ones((4, 1))])
    placed = (np.linalg.solve(target, affine) @ corners.T).T[:, :3]
    start = np.round(placed[0]).astype(int)
    apart = float(np.abs(placed - corners[:, :3] - start).max())
    if apart > _OFF_GRID:
        raise ValueError(
            f"{path} has the shape {label.shape} on another grid than its image ({tuple(shape)}): its voxels lie up to "
            f"{apart:.3g} voxels off the image's; export it with the image's geometry"
        )
    result = np.zeros(shape, label.dtype)
    stop = np.minimum(start + label.shape, shape)
    first = np.maximum(start, 0)
    if (first >= stop).any():
        raise ValueError(f"{path} lies outside of its image: from voxel {start.tolist()}, the image has {tuple(shape)}")
    inner = tuple(slice(int(a - s), int(b - s)) for a, b, s in zip(first, stop, start, strict=True))
    if int((label > 0).sum()) != int((label[inner] > 0).sum()):
        raise ValueError(f"{path} has labels outside of its image, which has the shape {tuple(shape)}")
    result[tuple(slice(int(a), int(b)) for a, b in zip(first, stop, strict=True))] = label[inner]
    return result
