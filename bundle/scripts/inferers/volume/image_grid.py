# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From the working grid within the body's box back to the image's own: labels, and the probability of any."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..propagation.evidence.annotations import SliceAnnotation, impose
from ..propagation.geometry.body_box import Box
from ..propagation.geometry.working_grid import labels_to_image, resize

__all__ = ["labels_on_image", "probability_on_image"]


def labels_on_image(
    labels: NDArray[np.int32],
    shape: tuple[int, int, int],
    box: Box,
    annotations: Mapping[int, SliceAnnotation],
    annotation_complete: str,
    *,
    values: Sequence[int],
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[Any]:
    """Bring label maps to the image's grid; outside of the box there is no label but annotated ones.

    Args:
        labels: (Z, h, w) on the working grid.
        shape: (Z, H, W) of the image's slices.
        box: rows and columns of the image that the working grid covers.
        annotations: by slice, on the image's grid; they are kept pixel for pixel.
        annotation_complete: what an unlabelled pixel of an annotated slice means, "own" or "all".
        values: all labels.
        progress: called with (slices done, slices in all).

    Returns:
        (Z, H, W), uint8, or uint16 where a label is above 255.
    """
    result = np.zeros(shape, np.uint8 if max(values) < 256 else np.uint16)
    inside = result[:, box[0], box[1]]
    for index, label in enumerate(labels):
        inside[index] = labels_to_image(label, (inside.shape[1], inside.shape[2]))
        if progress is not None:
            progress(index + 1, len(labels))
    impose(result, annotations, annotation_complete, values)
    return result


def probability_on_image(
    highest: NDArray[np.float32],
    shape: tuple[int, int, int],
    box: Box,
    annotations: Mapping[int, SliceAnnotation],
    annotation_complete: str,
) -> NDArray[np.float16]:
    """Bring the probability of any label to the image's grid; 0 outside of the box, 0 or 1 where it was annotated.

    Args:
        highest: (Z, h, w) highest logit of all labels on the working grid; minus infinity where none was considered.
        shape: (Z, H, W) of the image's slices.
        box: rows and columns of the image that the working grid covers.
        annotations: by slice, on the image's grid.
        annotation_complete: with "all", an annotated pixel without a label is certain, too.

    Returns:
        (Z, H, W), from 0 to 1.
    """
    result = np.zeros(shape, np.float16)
    inside = result[:, box[0], box[1]]
    for index, logit in enumerate(highest):
        if np.isfinite(logit).any():
            inside[index] = resize(1 / (1 + np.exp(-logit)), (inside.shape[1], inside.shape[2]))
    for index, annotation in annotations.items():
        certain = annotation.known if annotation_complete == "all" else annotation.label > 0
        result[index][certain] = (annotation.label > 0)[certain]
    return result
