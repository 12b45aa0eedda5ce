# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Figures of merit and their intervals."""

from .bootstrap import Interval, paired_differences, summarise
from .segmentation import (
    IGNORE_VALUE,
    CaseArrays,
    CaseRow,
    CaseTable,
    OverlapCounts,
    count_overlap,
    dice_score,
    figures,
    iou_score,
)
from .volume_agreement import VolumeAgreement, volume_agreement

__all__ = [
    "IGNORE_VALUE",
    "CaseArrays",
    "CaseRow",
    "CaseTable",
    "Interval",
    "OverlapCounts",
    "VolumeAgreement",
    "count_overlap",
    "dice_score",
    "figures",
    "iou_score",
    "paired_differences",
    "summarise",
    "volume_agreement",
]
