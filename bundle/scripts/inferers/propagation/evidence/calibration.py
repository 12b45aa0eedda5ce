# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Rules for one label, read off its annotated slices alone.

A balanced logistic regression tells the label from its surroundings by two witnesses, the slice matched with itself and
the intensity ratio. Where intensity alone does it (brain tissue), intensity takes over; organs keep the defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..geometry.morphology import dilate, hole_area
from ..parameters import CalibrationParameters, EvidenceParameters
from .label_rules import LabelRules
from .matching import cell_coverage
from .slice_features import SliceStack
from .unary import Exemplar, exemplar_log_ratio, match_exemplar

__all__ = ["calibrate"]

_ISLAND_FRACTIONS = (0.1, 0.03, 0.01, 0.003, 0.0)


def calibrate(
    stack: SliceStack,
    exemplars: Sequence[Exemplar],
    rules: LabelRules,
    parameters: CalibrationParameters,
    evidence: EvidenceParameters,
) -> LabelRules:
    """Read the rules for one label off its annotated slices.

    Args:
        stack: the slices.
        exemplars: the annotated slices on which the label occurs.
        rules: the defaults.
        parameters: how the rules are read.
        evidence: how the witnesses are computed.
    """
    if not exemplars:
        return rules
    masks = [exemplar.mask for exemplar in exemplars]
    # A structure that is tiny where it was annotated may stay so: it isn't lost at once.
    rules = replace(rules, smallest_area=min(rules.smallest_area, max(int(mask.sum()) for mask in masks) / 2))
    if not parameters.use_calibration:
        return rules
    fraction = _island_fraction(masks, rules, parameters.island_tolerance)
    rules = replace(
        rules,
        fills_holes=sum(map(hole_area, masks)) <= parameters.hole_tolerance * sum(int(mask.sum()) for mask in masks),
        island_fraction=fraction,
        smallest_island=_smallest_island(fraction, rules),
    )
    match_coefficient, intensity_coefficient = _coefficients(stack, exemplars, evidence, parameters.calibration_match)
    takes_over = float(np.clip(intensity_coefficient - parameters.calibration_threshold, 0, 1))
    kept = float(np.clip(match_coefficient / parameters.calibration_match, parameters.calibration_match_floor, 1))
    gain = 1 - takes_over * (1 - kept)
    wanted = parameters.calibration_intensity * intensity_coefficient - rules.intensity_weight
    return replace(
        rules,
        previous_weight=rules.previous_weight * gain,
        annotated_weight=rules.annotated_weight * gain,
        ridge_weight=rules.ridge_weight * gain,
        intensity_weight=rules.intensity_weight
        + takes_over * float(np.clip(wanted, 0, parameters.calibration_intensity_gain)),
    )


def _smallest_island(fraction: float, defaults: LabelRules) -> float:
    return defaults.smallest_island * fraction / max(defaults.island_fraction, 1e-9)


def _island_fraction(masks: Sequence[NDArray[np.bool_]], defaults: LabelRules, tolerance: float) -> float:
    """The largest fraction that loses no more of the annotation than ``tolerance`` of its area."""
    areas = [np.bincount(ndimage.label(mask)[0].ravel())[1:] for mask in masks]
    total = sum(int(part.sum()) for part in areas)
    for fraction in _ISLAND_FRACTIONS:
        smallest = _smallest_island(fraction, defaults)
        lost = sum(int(part[part < max(smallest, fraction * part.max())].sum()) for part in areas if part.size)
        if lost <= tolerance * total:
            return fraction
    return 0.0


def _coefficients(
    stack: SliceStack, exemplars: Sequence[Exemplar], parameters: EvidenceParameters, full_match: float
) -> tuple[float, float]:
    """Coefficients of match and intensity in a class-balanced logistic regression of the mask near its outline.

    Where there is no outline, the match counts in full (``full_match``) and the intensity not at all.
    """
    witnesses, targets = [], []
    for exemplar in exemplars:
        window = dilate(exemplar.mask, parameters.grow)
        if exemplar.known is not None:
            window &= exemplar.known
        cells = np.flatnonzero(cell_coverage(dilate(exemplar.mask, parameters.grow), stack.grid) > 0)
        score = match_exemplar(stack, exemplar.index, exemplar, cells, parameters, excluded_radius=1)
        ratio = exemplar_log_ratio(stack, exemplar.index, exemplar, parameters)
        witnesses.append(np.stack([score[window], ratio[window]], axis=1))
        targets.append(exemplar.mask[window])
    inputs = np.concatenate(witnesses).astype(np.float64)
    target = np.concatenate(targets).astype(np.float64)
    if target.min() == target.max():
        return full_match, 0.0
    weight = np.where(target > 0, 0.5 / target.sum(), 0.5 / (1 - target).sum()) * len(target)
    coefficients = logistic_regression(inputs, target, weight)
    return float(coefficients[0]), float(coefficients[1])


def logistic_regression(
    inputs: NDArray[np.float64], target: NDArray[np.float64], weight: NDArray[np.float64], *, steps: int = 12
) -> NDArray[np.float64]:
    """Weighted logistic regression by Newton steps, with a very small ridge.

    Args:
        inputs: (N, D).
        target: (N,), 0 or 1.
        weight: (N,).
        steps: Newton steps.

    Returns:
        (D + 1,) coefficients, the constant last.
    """
    inputs = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    coefficients = np.zeros(inputs.shape[1])
    penalty = 1e-6 * len(inputs) * np.eye(inputs.shape[1])
    for _ in range(steps):
        probability = 1 / (1 + np.exp(-np.clip(inputs @ coefficients, -20, 20)))
        curvature = (inputs.T * (weight * probability * (1 - probability))) @ inputs + penalty
        gradient = inputs.T @ (weight * (target - probability)) - penalty @ coefficients
        coefficients = coefficients + np.linalg.solve(curvature, gradient)
    return coefficients
