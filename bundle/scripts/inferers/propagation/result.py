# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a propagation hands back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["PropagationResult", "SliceReport"]


@dataclass(frozen=True)
class SliceReport:
    """One label on one slice.

    Attributes:
        slice: index along the slice axis.
        label: its value.
        area: pixels of the image that have the label.
        confidence: from 0 (look here) to 1; 1 on annotated slices. Where the label is absent, how sure it is that it
            is.
        state: "annotated", "predicted", or "absent" where no pixel of an unannotated slice has the label.
    """

    slice: int
    label: int
    area: int
    confidence: float
    state: str = "predicted"


@dataclass
class PropagationResult:
    """A segmented volume.

    Attributes:
        label: label values on the grid of the image; array, or tensor from the inferer.
        probability: of any label, the same shape, float16; None unless it was asked for.
        slices: a report per label and slice, ordered by slice.
        predicted_dice: by label, an estimate of its Dice that needs no ground truth.
        slice_axis: axis of the image that slices are counted along.
        seconds: by stage.
    """

    label: Any
    probability: Any | None
    slices: list[SliceReport]
    predicted_dice: dict[int, float]
    slice_axis: int
    seconds: dict[str, float]
