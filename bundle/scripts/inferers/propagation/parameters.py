# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""All switches and values of the propagation, in groups: each part of the method gets only its own.

Lengths in pixels are pixels of the working grid (see ``working_grid``): its longer side is always ``working_size``
pixels, so that one value serves a brain at 2 mm and an abdomen at 0.7 mm.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

__all__ = [
    "CalibrationParameters",
    "EvidenceParameters",
    "GridParameters",
    "KeySliceParameters",
    "MaskParameters",
    "OutputParameters",
    "PropagationParameters",
    "RidgeParameters",
]


@dataclass(frozen=True)
class GridParameters:
    """Grids on which slices are seen and compared.

    Attributes:
        image_size: side in pixels of the square that the backbone sees.
        grid_size: cells along the longer side of the grid on which features are compared.
        working_size: longer side in pixels of the grid on which masks live.
        use_body_box: leave the empty margins of the slices out.
    """

    image_size: int = 400
    grid_size: int = 50
    working_size: int = 256
    use_body_box: bool = True

    def __post_init__(self) -> None:
        _require_positive(self, "image_size", "grid_size", "working_size")


@dataclass(frozen=True)
class EvidenceParameters:
    """What speaks for a label at a pixel.

    Attributes:
        levels: backbone levels that are matched.
        use_features: match features (off: the match is zero everywhere).
        previous_weight: weight of the match to the neighbouring slice that was segmented before.
        annotated_weight: weight of the match to the annotated slice.
        top_k: number of best cosines that are averaged, per level and side.
        foreground_coverage: a cell is foreground when the mask covers more than this fraction of it.
        background_coverage: the same for background.
        grow: pixels by which a mask may grow from one slice to the next.
        ring: width in pixels of the ring around a mask that counts as its background.
        use_intensity: log ratio of the intensity histograms of mask and ring.
        intensity_weight: its weight.
        annotated_histogram_share: share of the annotated slice's histogram, the neighbour's has the rest.
        histogram_bins: number of bins over the intensity range.
        histogram_smoothing: standard deviation in bins of the Gaussian over the histogram.
        histogram_floor: probability that is added to every bin.
        histogram_clip: largest absolute log ratio.
        histogram_novelty: share of a uniform distribution in the background's histogram; intensities that were never
            seen then speak against the object.
        use_flow: the neighbour's mask is carried by optical flow before its signed distance is taken.
        use_distance: signed distance to the carried mask.
        distance_weight: weight of the signed distance, per pixel.
        distance_clip: largest absolute distance in pixels.
    """

    levels: tuple[str, ...] = ("c3", "c4", "c5")
    use_features: bool = True
    previous_weight: float = 6.0
    annotated_weight: float = 3.0
    top_k: int = 3
    foreground_coverage: float = 0.5
    background_coverage: float = 0.9
    grow: int = 12
    ring: int = 20
    use_intensity: bool = True
    intensity_weight: float = 0.55
    annotated_histogram_share: float = 0.5
    histogram_bins: int = 48
    histogram_smoothing: float = 1.5
    histogram_floor: float = 0.002
    histogram_clip: float = 3.0
    histogram_novelty: float = 0.0
    use_flow: bool = True
    use_distance: bool = True
    distance_weight: float = 0.1
    distance_clip: float = 15.0

    def __post_init__(self) -> None:
        _require_positive(self, "top_k", "histogram_bins", "ring")
        if not self.levels:
            raise ValueError("propagation parameter levels must name at least one backbone level")
        object.__setattr__(self, "levels", tuple(self.levels))


@dataclass(frozen=True)
class MaskParameters:
    """Masks that travel from slice to slice.

    Attributes:
        bias: added to the logit of the mask that travels; negative = cautious.
        smallest_area: pixels; a chain stops when its mask is smaller.
        largest_hole: pixels; smaller holes are filled while the mask travels.
        smallest_island: pixels; smaller islands are dropped.
        island_fraction: islands smaller than this fraction of the largest are dropped.
        use_exclusion: labels that advance later yield to what other labels claimed.
        claim_clip: largest logit that a predicted claim of another label costs.
        meeting_clip: logits of two chains that meet are clipped here before they are averaged.
    """

    bias: float = -1.8
    smallest_area: int = 20
    largest_hole: int = 30
    smallest_island: int = 10
    island_fraction: float = 0.1
    use_exclusion: bool = True
    claim_clip: float = 9.0
    meeting_clip: float = 6.0


@dataclass(frozen=True)
class OutputParameters:
    """From what travelled to the result, and its self-check.

    Attributes:
        use_output_pass: take the generous output (off: the masks that travelled are the result).
        output_bias: added to the logit of the output.
        output_bias_without_ridge: the same when the ridge is off.
        output_clip: largest absolute logit of the propagation in the output.
        use_component: only the 3-D components that touch an annotation stay.
        use_self_check: walk chains back for the predicted Dice.
    """

    use_output_pass: bool = True
    output_bias: float = 1.0
    output_bias_without_ridge: float = 1.5
    output_clip: float = 4.0
    use_component: bool = True
    use_self_check: bool = True


@dataclass(frozen=True)
class RidgeParameters:
    """Ridge regression over the whole volume.

    Attributes:
        use_ridge: add its prediction to the output.
        ridge_levels: backbone levels that it sees.
        ridge_weight: weight of its prediction.
        ridge_penalty: penalty, in units of the mean diagonal of the normal matrix.
        ridge_decay: slices (key slices) over which the weight of a training slice falls to 1/e.
        ridge_foreground: coverage above which a cell trains as foreground.
        ridge_background: coverage below which a cell trains as background.
        ridge_darkest: cells darker than this (square root of the scaled intensity) do not train.
    """

    use_ridge: bool = True
    ridge_levels: tuple[str, ...] = ("c4", "c5")
    ridge_weight: float = 4.0
    ridge_penalty: float = 1e-3
    ridge_decay: float = 5.0
    ridge_foreground: float = 0.7
    ridge_background: float = 0.1
    ridge_darkest: float = 0.12

    def __post_init__(self) -> None:
        object.__setattr__(self, "ridge_levels", tuple(self.ridge_levels))


@dataclass(frozen=True)
class KeySliceParameters:
    """Thin slices: which ones masks travel over, and how the others are filled in.

    Attributes:
        use_key_slices: propagate over every n-th slice only and fill in the others.
        key_slice_step: distance of key slices, as a fraction of the longer side of the slice in mm.
        between_bias: added to the logit of slices between key slices.
    """

    use_key_slices: bool = True
    key_slice_step: float = 0.012
    between_bias: float = -0.4


@dataclass(frozen=True)
class CalibrationParameters:
    """Weights and shape rules read off the annotated slices.

    Attributes:
        use_calibration: read them (off: every label has the defaults).
        hole_tolerance: fraction of the annotated area; with more holes than this, holes are never filled.
        island_tolerance: fraction of the annotated area that the island rule may lose.
        calibration_threshold: intensity coefficient above which intensity takes over from the match.
        calibration_match: match coefficient at which the match keeps its full weight.
        calibration_match_floor: smallest share of its weight that the match keeps.
        calibration_intensity: weight of the intensity per unit of its coefficient.
        calibration_intensity_gain: largest gain of the intensity weight.
    """

    use_calibration: bool = True
    hole_tolerance: float = 0.02
    island_tolerance: float = 0.01
    calibration_threshold: float = 1.2
    calibration_match: float = 10.0
    calibration_match_floor: float = 0.3
    calibration_intensity: float = 0.8
    calibration_intensity_gain: float = 1.7


@dataclass(frozen=True, init=False)
class PropagationParameters:
    """Values and switches of the propagation; the defaults are the method.

    A value may be given by its own name, ``PropagationParameters(image_size=640, use_ridge=False)``, as a config and
    ``dataclasses.replace`` do, or with its group, ``PropagationParameters(ridge=RidgeParameters(use_ridge=False))``.
    Every ``use_...`` switch can be turned off by itself (``benchmarks/propagation.py`` measures what each is worth).

    Args:
        values: by name of a value or of a group.

    Attributes:
        grids: grids on which slices are seen and compared.
        evidence: what speaks for a label at a pixel.
        masks: masks that travel.
        output: from what travelled to the result.
        ridge: ridge regression over the whole volume.
        key_slices: thin slices.
        calibration: rules read off the annotated slices.

    Raises:
        TypeError: for a name that none of them has.
        ValueError: for a value out of range.
    """

    grids: GridParameters
    evidence: EvidenceParameters
    masks: MaskParameters
    output: OutputParameters
    ridge: RidgeParameters
    key_slices: KeySliceParameters
    calibration: CalibrationParameters

    def __init__(self, **values: Any) -> None:
        for group, kind in _GROUPS.items():
            chosen = values.pop(group, None) or kind()
            own = {field.name: values.pop(field.name) for field in fields(kind) if field.name in values}
            object.__setattr__(self, group, replace(chosen, **own))
        if values:
            raise TypeError(f"no propagation parameter {', '.join(values)}; there are {', '.join(self.names())}")

    @property
    def levels(self) -> tuple[str, ...]:
        """All backbone levels that are needed, each once."""
        return tuple(dict.fromkeys((*self.evidence.levels, *self.ridge.ridge_levels)))

    def flat(self) -> dict[str, Any]:
        """Every value by its own name."""
        return {name: value for group in _GROUPS for name, value in asdict(getattr(self, group)).items()}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of all values."""
        return tuple(field.name for kind in _GROUPS.values() for field in fields(kind))


_GROUPS: dict[str, type[Any]] = {
    "grids": GridParameters,
    "evidence": EvidenceParameters,
    "masks": MaskParameters,
    "output": OutputParameters,
    "ridge": RidgeParameters,
    "key_slices": KeySliceParameters,
    "calibration": CalibrationParameters,
}


def _require_positive(group: object, *names: str) -> None:
    for name in names:
        if getattr(group, name) < 1:
            raise ValueError(f"propagation parameter {name} must be at least 1, got {getattr(group, name)}")
