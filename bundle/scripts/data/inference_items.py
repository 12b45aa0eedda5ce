# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What an inference run is asked to segment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .items import Item, natural_key
from .volume_reader import is_volume_file

__all__ = ["inference_items", "require_items"]

Paths = str | Path | Sequence[str | Path] | None


def inference_items(image: Paths, annotation: Paths = None, *, dataset_dir: str | Path | None = None) -> list[Item]:
    """List volumes with their annotations.

    Args:
        image: a NIfTI file, or several.
        annotation: as many label maps of the same grids, or None.
        dataset_dir: folder whose NIfTI files are taken where no image is named.

    Returns:
        A datalist of ``{image, [annotation]}``; empty when neither image nor folder is given (a workflow that is only
        inspected), see ``require_items``.

    Raises:
        ValueError: when a file is no NIfTI file, or the numbers of images and annotations differ.
        FileNotFoundError: when a file or the folder is missing, or the folder holds no volume.
    """
    images = _as_list(image)
    if not images and dataset_dir is not None:
        images = _volumes_in(Path(dataset_dir).expanduser())
    annotations = _as_list(annotation)
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


def require_items(items: Sequence[Item], *, needs_annotation: bool = False) -> None:
    """Refuse to start without anything to segment.

    Args:
        items: from ``inference_items``.
        needs_annotation: whether every item must bring annotated slices of its own.

    Raises:
        ValueError: saying which key is to be given.
    """
    if not items:
        raise ValueError(
            "no image given: name a NIfTI volume with --image FILE, or a folder of them with --dataset_dir"
        )
    if needs_annotation and "annotation" not in items[0]:
        raise ValueError(
            "no annotation given: name a label map of the image's grid, in which one or a few slices are annotated, "
            "with --annotation FILE; or take configs/inferers/reference.json to segment from other cases"
        )


def _as_list(value: Paths) -> list[str]:
    if value is None:
        return []
    return [str(value)] if isinstance(value, (str, Path)) else [str(part) for part in value]


def _volumes_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise FileNotFoundError(f"dataset_dir {folder} does not exist")
    volumes = sorted((str(path) for path in folder.iterdir() if is_volume_file(path)), key=natural_key)
    if not volumes:
        raise FileNotFoundError(f"dataset_dir {folder} holds no NIfTI file (.nii or .nii.gz)")
    return volumes
