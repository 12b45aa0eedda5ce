# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What an inference run is asked to segment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .items import Item
from .volume_reader import is_volume_file

__all__ = ["inference_items"]


def inference_items(
    image: str | Sequence[str] | None, annotation: str | Sequence[str] | None = None, *, needs_annotation: bool = False
) -> list[Item]:
    """Pair volumes with their annotations.

    Args:
        image: a NIfTI file, or several.
        annotation: as many label maps of the same grids, or None.
        needs_annotation: whether a missing annotation is an error.

    Returns:
        A datalist of ``{image, [annotation]}``.

    Raises:
        ValueError: when an image or a needed annotation is not given, or the numbers differ.
        FileNotFoundError: when a file is missing.
    """
    images = _as_list(image)
    annotations = _as_list(annotation)
    if not images:
        raise ValueError("no image given: name a NIfTI volume with --image FILE")
    if needs_annotation and not annotations:
        raise ValueError(
            "no annotation given: name a label map of the image's grid, in which one or a few slices are annotated, "
            "with --annotation FILE"
        )
    if annotations and len(annotations) != len(images):
        raise ValueError(f"{len(images)} images but {len(annotations)} annotations: give one annotation per image")
    for key, paths in (("image", images), ("annotation", annotations)):
        for path in paths:
            if not Path(path).is_file():
                raise FileNotFoundError(f"{key} {path} does not exist")
            if not is_volume_file(path):
                raise ValueError(f"{key} {path} is not a NIfTI file (.nii or .nii.gz)")
    if not annotations:
        return [{"image": path} for path in images]
    return [{"image": path, "annotation": other} for path, other in zip(images, annotations, strict=True)]


def _as_list(value: str | Sequence[str] | None) -> list[str]:
    if value is None:
        return []
    return [str(value)] if isinstance(value, (str, Path)) else [str(part) for part in value]
