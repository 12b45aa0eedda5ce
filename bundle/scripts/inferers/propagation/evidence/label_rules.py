# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the annotated slices tell about one label: how much to trust which witness, whether it has holes or islands."""

from __future__ import annotations

from dataclasses import dataclass

from ..parameters import EvidenceParameters, MaskParameters, RidgeParameters

__all__ = ["LabelRules"]


@dataclass(frozen=True)
class LabelRules:
    """Weights of the witnesses and rules of shape for one label.

    Attributes:
        previous_weight: weight of the match to the neighbouring slice.
        annotated_weight: weight of the match to the annotated slice.
        intensity_weight: weight of the histograms' log ratio.
        ridge_weight: weight of the ridge in the output.
        fills_holes: whether holes of its masks are filled.
        island_fraction: islands below this fraction of the largest are dropped.
        smallest_island: islands of fewer pixels are dropped.
        smallest_area: a chain stops when its mask has fewer pixels.
    """

    previous_weight: float
    annotated_weight: float
    intensity_weight: float
    ridge_weight: float
    fills_holes: bool
    island_fraction: float
    smallest_island: float
    smallest_area: float

    @classmethod
    def default(cls, evidence: EvidenceParameters, masks: MaskParameters, ridge: RidgeParameters) -> LabelRules:
        """Rules before any annotation was looked at."""
        return cls(
            previous_weight=evidence.previous_weight,
            annotated_weight=evidence.annotated_weight,
            intensity_weight=evidence.intensity_weight,
            ridge_weight=ridge.ridge_weight,
            fills_holes=True,
            island_fraction=masks.island_fraction,
            smallest_island=masks.smallest_island,
            smallest_area=masks.smallest_area,
        )
