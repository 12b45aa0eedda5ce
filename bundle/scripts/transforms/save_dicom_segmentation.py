# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Write a label map as a DICOM segmentation object (DICOM-SEG) that refers to the series it was made on."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from ..data.dicom.header import read_header
from ..files.atomic import replace_when_done
from ..labels import LARGEST_LABEL
from ..version import version
from .source_grid import SourceGrid

__all__ = ["save_dicom_segmentation"]

_REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
# Attributes of patient and study that must be there and may be empty (type 2); anonymisers drop them.
_MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
_ORGANS = {
    "liver": Code("10200004", "SCT", "Liver"),
    "spleen": Code("78961009", "SCT", "Spleen"),
    "right kidney": Code("9846003", "SCT", "Right kidney"),
    "left kidney": Code("18639004", "SCT", "Left kidney"),
}
_ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
_TISSUE = Code("85756007", "SCT", "Tissue")
_MAKER = "CD-TG bundle"


def save_dicom_segmentation(
    grid: SourceGrid, label: NDArray[Any], target: str | Path, names: Mapping[int, str] | None = None
) -> Path:
    """Write the segments of a label map.

    The number of a segment is its label value; numbers below the largest that don't occur have a segment without
    pixels, as numbers must run from 1 without gaps.

    Args:
        grid: of a DICOM series.
        label: (X, Y, Z) in the canonical orientation, values from 0 to 254.
        target: a ``.dcm`` file, written beside and renamed.
        names: label value -> name of the segment; others are called ``label <value>``.

    Returns:
        The written file.

    Raises:
        ValueError: when the label map is empty, or the series lacks an attribute that a segmentation refers to.
        OSError: when it can't be written.
    """
    import highdicom  # takes a second

    if grid.series is None:
        raise ValueError(f"{grid.source} is no DICOM series, expected one to refer to")
    frames = grid.from_canonical(label).transpose(2, 1, 0)
    largest = int(frames.max(initial=0))
    if not 1 <= largest <= LARGEST_LABEL or frames.min() < 0:
        raise ValueError(f"a DICOM-SEG holds labels from 1 to {LARGEST_LABEL}, got {int(frames.min())} to {largest}")
    sources = [_source(path) for path in grid.series.files]
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=_MAKER, version=version(), family=codes.DCM.ArtificialIntelligence
    )
    segments = []
    for value in range(1, largest + 1):
        name = (names or {}).get(value, f"label {value}")
        organ = _ORGANS.get(name)
        segments.append(
            highdicom.seg.SegmentDescription(
                segment_number=value,
                segment_label=name[:64],
                segmented_property_category=_ANATOMY if organ else _TISSUE,
                segmented_property_type=organ or _TISSUE,
                algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
                algorithm_identification=algorithm,
            )
        )
    with _quiet():
        segmentation = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=np.ascontiguousarray(frames.astype(np.uint8)),
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=segments,
            series_instance_uid=highdicom.UID(),
            series_number=1000,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer=_MAKER,
            manufacturer_model_name=_MAKER,
            software_versions=version(),
            device_serial_number="0",
            content_label="SEGMENTATION",
            content_description="label map computed from annotated slices",
        )
    segmentation.SeriesDescription = f"{_MAKER}: segmentation"
    with replace_when_done(target) as partial:
        segmentation.save_as(partial)
    return Path(target)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without notes on each group that is copied, and on values of the source that are odd and copied as they are."""
    logger = logging.getLogger("highdicom")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _source(path: Path) -> Dataset:
    """Header of one source file, with what a segmentation copies and refers to."""
    dataset = read_header(path)
    missing = [name for name in _REQUIRED if not dataset.get(name)]
    if missing:
        raise ValueError(f"{path} has no {', no '.join(missing)}, which a DICOM-SEG refers to")
    for name in _MAY_BE_EMPTY:
        if name not in dataset:
            setattr(dataset, name, "")
    return dataset
