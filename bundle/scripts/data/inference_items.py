# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What an inference run is asked to segment."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ..files.listing import visible_files, visible_folders, without_results
from ..files.natural_order import natural_key
from ..files.writable import require_writable
from .dicom.series import dicom_files
from .items import Item
from .volume_names import is_volume_name, require_volume, volume_stem

__all__ = ["inference_items", "require_items"]

Paths = str | Path | Sequence[str | Path] | None


def inference_items(
    image: Paths, annotation: Paths = None, *, dataset_dir: str | Path | None = None, series_uid: str | None = None
) -> list[Item]:
    """List volumes with their annotations.

    Args:
        image: a NIfTI file, a folder with a DICOM series or one of its files; or several.
        annotation: as many label maps of the same grids (NIfTI, DICOM-SEG), or None.
        dataset_dir: folder whose NIfTI files, and folders with DICOM files, are taken where no image is named; hidden
            files and results of an earlier run (``<image>_seg``, ``<image>_probability``) are passed over.
        series_uid: SeriesInstanceUID, where the folder of an image holds several series.

    Returns:
        A datalist of ``{image, [annotation], [series_uid]}``; empty when neither image nor folder is given (a workflow
        that is only inspected), see ``require_items``.

    Raises:
        ValueError: when a file is no volume, two images would have results of the same name, or the numbers of images
            and annotations differ.
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
            require_volume(key, path)
    _refuse_same_names(images)
    items: list[Item] = [{"image": path} for path in images]
    for item, path in zip(items, annotations, strict=False):
        item["annotation"] = path
    return [{**item, "series_uid": series_uid} for item in items] if series_uid else items


def require_items(
    items: Sequence[Item], *, needs_annotation: bool = False, output_dir: str | Path | None = None
) -> None:
    """Refuse to start without anything to segment.

    Args:
        items: from ``inference_items``.
        needs_annotation: whether every item must bring annotated slices of its own.
        output_dir: folder of the results, which is tried by writing there; None tries nothing.

    Raises:
        ValueError: saying which key is to be given.
        OSError: when a result can't be written.
    """
    if not items:
        raise ValueError(
            "no image given: name a volume with --image (a NIfTI file, or the folder of a DICOM series), or a folder "
            "of volumes with --dataset_dir"
        )
    if needs_annotation and "annotation" not in items[0]:
        raise ValueError(
            "no annotation given: name a label map of the image's grid, in which one or a few slices are annotated, "
            "with --annotation FILE; or take configs/inferers/reference.json to segment from other cases"
        )
    if output_dir is not None:
        require_writable(output_dir, [f"{volume_stem(item['image'])}_seg.nii.gz" for item in items])


def _as_list(value: Paths) -> list[str]:
    if value is None:
        return []
    return [str(value)] if isinstance(value, (str, Path)) else [str(part) for part in value]


def _volumes_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise FileNotFoundError(f"dataset_dir {folder} does not exist")
    volumes = [path for path in visible_files(folder) if is_volume_name(path)]
    volumes += [path for path in visible_folders(folder) if dicom_files(path)]
    volumes, results = without_results(volumes, [volume_stem(path) for path in volumes])
    if results:
        logging.getLogger(__name__).info("%s: %d results of an earlier run are passed over", folder, len(results))
    if not volumes and dicom_files(folder):
        volumes = [folder]
    if not volumes:
        raise FileNotFoundError(f"dataset_dir {folder} holds no NIfTI file (.nii or .nii.gz) and no DICOM series")
    return sorted(map(str, volumes), key=natural_key)


def _refuse_same_names(images: Sequence[str]) -> None:
    """Results are named after their images, so equal names would overwrite each other."""
    stems: dict[str, str] = {}
    for path in images:
        stem = volume_stem(path)
        if stem in stems:
            raise ValueError(
                f"images {stems[stem]} and {path} have the same name, so the result of one would replace the other's; "
                "segment them in separate runs with their own output_dir"
            )
        stems[stem] = path
