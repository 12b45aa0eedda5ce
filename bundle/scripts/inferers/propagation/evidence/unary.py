# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""How likely a pixel of a slice belongs to an object whose mask on other slices is known.

Three witnesses are added up: dense matching of deep features, the log ratio of intensity histograms, and the signed
distance to the mask that optical flow carries over from the neighbouring slice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry.morphology import dilate, signed_distance
from ..parameters import EvidenceParameters
from .intensity import histogram_log_ratio
from .label_rules import LabelRules
from .matching import cell_coverage, choose_cells, match, upsample
from .optical_flow import carry
from .slice_features import SliceStack

__all__ = ["Exemplar", "slice_logit"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Exemplar:
    """A slice on which the mask of an object is known.

    Attributes:
        index: of the slice.
        mask: (h, w).
        known: (h, w), pixels of which the mask is known; None = all.
    """

    index: int
    mask: Mask
    known: Mask | None = None

    def ring(self, width: int) -> Mask:
        """The pixels around the mask that count as its background."""
        ring = dilate(self.mask, width) & ~self.mask
        return ring if self.known is None else ring & self.known


def slice_logit(
    stack: SliceStack,
    index: int,
    previous: Exemplar,
    annotated: Exemplar,
    rules: LabelRules,
    parameters: EvidenceParameters,
) -> tuple[NDArray[np.float32], Mask]:
    """Evidence for an object on slice ``index``, without the bias.

    Args:
        stack: the slices.
        index: the slice in question.
        previous: the neighbouring slice with the mask found there.
        annotated: the annotated slice that the chain started from.
        rules: weights of the witnesses for this label.
        parameters: how they are computed.

    Returns:
        logit (h, w) and the window (h, w) within which the mask may lie.
    """
    window = dilate(previous.mask, parameters.grow)
    is_first_step = previous.index == annotated.index
    logit = np.zeros(stack.shape, np.float32)
    if parameters.use_features:
        query_cells = np.flatnonzero(cell_coverage(window, stack.grid) > 0)
        if is_first_step:
            weight = rules.previous_weight + rules.annotated_weight
            logit += weight * match_exemplar(stack, index, previous, query_cells, parameters)
        else:
            logit += rules.previous_weight * match_exemplar(stack, index, previous, query_cells, parameters)
            logit += rules.annotated_weight * match_exemplar(stack, index, annotated, query_cells, parameters)
    if parameters.use_intensity:
        ratio = exemplar_log_ratio(stack, index, previous, parameters)
        if not is_first_step:
            share = parameters.annotated_histogram_share
            ratio = (1 - share) * ratio + share * exemplar_log_ratio(stack, index, annotated, parameters)
        logit += rules.intensity_weight * ratio
    if parameters.use_distance:
        carried = previous.mask
        if parameters.use_flow:
            carried = carry(previous.mask, stack.flow(index, previous.index)) > 0.5
        clip = parameters.distance_clip
        logit += parameters.distance_weight * np.clip(signed_distance(carried), -clip, clip)
    return logit, window


def match_exemplar(
    stack: SliceStack,
    index: int,
    exemplar: Exemplar,
    query_cells: NDArray[np.intp],
    parameters: EvidenceParameters,
    *,
    excluded_radius: int | None = None,
) -> NDArray[np.float32]:
    """Matching score (h, w) of a slice with an exemplar, on the working grid."""
    ring = cell_coverage(exemplar.ring(parameters.ring), stack.grid)
    score = match(
        stack.unit(index),
        stack.unit(exemplar.index),
        query_cells,
        choose_cells(cell_coverage(exemplar.mask, stack.grid), parameters.foreground_coverage),
        choose_cells(ring, parameters.background_coverage),
        parameters.levels,
        top_k=parameters.top_k,
        grid=stack.grid,
        excluded_radius=excluded_radius,
    )
    return upsample(score, stack.shape)


def exemplar_log_ratio(
    stack: SliceStack, index: int, exemplar: Exemplar, parameters: EvidenceParameters
) -> NDArray[np.float32]:
    """Log ratio (h, w) of the exemplar's histograms at the intensities of a slice."""
    image = stack.image(exemplar.index)
    ring = exemplar.ring(parameters.ring)
    return histogram_log_ratio(stack.image(index), image[exemplar.mask], image[ring], parameters)
