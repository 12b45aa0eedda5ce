# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From files to files: what the inference workflow with ``inferers/propagation.json`` does, without importing MONAI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ...data.volume_names import require_volume, volume_stem
from ...files.writable import require_writable
from ...transforms.source_grid import read_source_grid
from ..propagation import PropagationParameters
from ..propagation.progress import Progress
from .file_session import FileResult, FileSession

__all__ = ["segment_files"]


def segment_files(
    image: str | Path,
    annotation: str | Path,
    output_dir: str | Path,
    *,
    annotation_complete: str = "own",
    slice_axis: int | None = None,
    feature_cache_dir: str | Path | None = None,
    image_size: int = 400,
    save_probability: bool = False,
    class_names: Sequence[str] = (),
    series_uid: str | None = None,
    device: torch.device | str | None = None,
    intensity_window: tuple[float, float] | None = None,
    progress: Progress | None = None,
) -> FileResult:
    """Segment a volume from its annotated slices and write the workflow's files, bit for bit.

    Args:
        image: NIfTI file, folder of a DICOM series or one of its files.
        annotation: label map of the same grid (NIfTI, DICOM-SEG); 255 = not annotated, slices without any label are
            not annotated.
        output_dir: folder of the files.
        annotation_complete: what an unlabelled pixel of an annotated slice means, "own" or "all".
        slice_axis: axis of the canonical orientation (X, Y, Z) that slices are counted along; if None, the one along
            which the annotation was painted.
        feature_cache_dir: folder that keeps the features.
        image_size: side in pixels of the square that the backbone sees.
        save_probability: also write the probability of any label.
        class_names: names of the labels in the order of their values.
        series_uid: SeriesInstanceUID, where the folder of the image holds several series.
        device: where the backbone runs; CUDA where there is one, else the CPU, if None.
        intensity_window: (low, high) in the image's unit; found by itself if None.
        progress: called with (stage, done, total).

    Returns:
        The result; its files are ``<stem>_seg.nii.gz``, ``<stem>_slices.csv``, ``<stem>_labels.csv``, and where asked
        for or possible ``<stem>_probability.nii.gz`` and ``<stem>_seg.dcm``.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: when a file can't be read, the grids differ, nothing is annotated, or there are not as many names as
            labels; nothing is written then.
        OSError: when a result can't be written.
    """
    require_volume("image", image)
    require_volume("annotation", annotation)
    if slice_axis not in (None, 0, 1, 2):
        raise ValueError(f"slice_axis must be 0, 1, 2 or None, got {slice_axis!r}")
    session = FileSession(
        image,
        series_uid=series_uid,
        slice_axis=None if slice_axis is None else read_source_grid(image, series_uid).own_axis(slice_axis)[0],
        class_names=class_names,
        cache_dir=feature_cache_dir,
        parameters=PropagationParameters(image_size=image_size),
        intensity_window=intensity_window,
        annotation_complete=annotation_complete,
        device=device,
        memory_mib=0,
    )
    session.annotate_file(annotation)
    folder = require_writable(output_dir, [f"{volume_stem(image)}_seg.nii.gz"])
    result = session.segment(progress, probability=save_probability)
    result.write(folder)
    return result
