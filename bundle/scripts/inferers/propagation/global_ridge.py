# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A ridge regression per label over the whole volume: what the label looks like and where it lies, on all slices.

The masks that travelled train it, those near an annotation more than those far away, foreground and background with
equal weight. It corrects what a chain, which sees two slices at a time, gets wrong.

    w = argmin  sum_i a_i (x_i w - y_i)^2 + penalty * mean(diag(X' A X)) * |w|^2

The normal matrix of the background is nearly that of the whole slice, which all labels share; only the label's own
cells are taken out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .matching import cell_coverage
from .memo import Memo, digest
from .parameters import PropagationParameters
from .slice_features import SliceStack

__all__ = ["cell_inputs", "fit_ridge", "predict_ridge"]

FINE, COARSE, SPREAD = 1.0, 2.5, 2.0  # pixels, standard deviations of the Gaussians


def cell_inputs(stack: SliceStack, index: int, parameters: PropagationParameters) -> Tensor:
    """Inputs of all cells of a slice, (grid_size ** 2, D): features, intensity, local spread, position."""
    size = parameters.grid_size
    image, fine = stack.image(index), _on_grid(stack.smooth(index, FINE), size)
    coarse = _on_grid(stack.smooth(index, COARSE), size)
    variance = cv2.GaussianBlur(image * image, (0, 0), SPREAD) - stack.smooth(index, SPREAD) ** 2
    spread = _on_grid(np.sqrt(np.maximum(variance, 0)), size)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    y, x = (part.ravel() for part in np.meshgrid(axis, axis, indexing="ij"))
    z = np.full_like(x, np.linspace(-1, 1, len(stack))[index] if len(stack) > 1 else 0.0)
    position = [0.5 * part for part in (x, y, z, x * x, y * y, z * z, x * y, x * z, y * z)]
    plain = np.stack([fine, coarse, 4 * spread, fine**2, coarse**2, *position, np.ones_like(x)], axis=1)
    unit = stack.unit(index)
    return torch.cat([*(unit[level].T for level in parameters.ridge_levels), torch.from_numpy(plain)], dim=1)


def fit_ridge(
    stack: SliceStack,
    masks: Mapping[int, NDArray[np.bool_]],
    annotated: Sequence[int],
    parameters: PropagationParameters,
    memo: Memo,
) -> Tensor | None:
    """Fit the coefficients (D,) of one label, float32; None where there is nothing to tell apart.

    Args:
        stack: the slices.
        masks: (h, w) by slice, where the label was found; a slice that is missing has none.
        annotated: slices on which the label was annotated.
        parameters: weights and thresholds.
        memo: keeps the normal matrices of whole slices.
    """
    matrices = {True: 0.0, False: 0.0}  # of foreground and background
    moments = {True: 0.0, False: 0.0}
    totals = {True: 0.0, False: 0.0}
    for index in range(len(stack)):
        weight = float(np.exp(-min(abs(index - other) for other in annotated) / parameters.ridge_decay))
        whole, whole_sum, is_bright = memo.recall(
            ("gram", stack.key, index), lambda index=index: _slice_gram(stack, index, parameters)
        )
        bright_count = int(is_bright.sum())
        mask = masks.get(index)
        touched = np.zeros_like(is_bright)
        if mask is not None and mask.any():
            coverage = cell_coverage(mask, parameters.grid_size)
            touched = is_bright & (coverage >= parameters.ridge_background)
            inside = is_bright & (coverage > parameters.ridge_foreground)
            inputs = cell_inputs(stack, index, parameters)
            chosen = inputs[torch.from_numpy(np.flatnonzero(inside))]
            matrices[True] = matrices[True] + weight * (chosen.T @ chosen).double()
            moments[True] = moments[True] + weight * chosen.sum(0).double()
            totals[True] += weight * len(chosen)
            removed = inputs[torch.from_numpy(np.flatnonzero(touched))]
            whole = whole - (removed.T @ removed).double()
            whole_sum = whole_sum - removed.sum(0).double()
        matrices[False] = matrices[False] + weight * whole
        moments[False] = moments[False] + weight * whole_sum
        totals[False] += weight * (bright_count - int(touched.sum()))
    if totals[True] <= 0 or totals[False] <= 0:
        return None
    matrix = sum(0.5 / totals[side] * matrices[side] for side in (True, False))
    target = 0.5 / totals[True] * moments[True] - 0.5 / totals[False] * moments[False]
    penalty = parameters.ridge_penalty * matrix.diagonal().mean()
    matrix = matrix + penalty * torch.eye(len(matrix), dtype=torch.float64)
    return torch.linalg.solve(matrix, target).float()


def predict_ridge(
    stack: SliceStack, index: int, coefficients: Mapping[int, Tensor], parameters: PropagationParameters
) -> dict[int, NDArray[np.float32]]:
    """Predictions (grid_size, grid_size) of several labels on one slice; about -1 outside, +1 inside."""
    if not coefficients:
        return {}
    stacked = torch.stack([coefficients[label] for label in coefficients], dim=1)
    maps = (cell_inputs(stack, index, parameters) @ stacked).T.reshape(-1, parameters.grid_size, parameters.grid_size)
    return {label: each.numpy() for label, each in zip(coefficients, maps, strict=True)}


def _slice_gram(
    stack: SliceStack, index: int, parameters: PropagationParameters
) -> tuple[Tensor, Tensor, NDArray[np.bool_]]:
    """Normal matrix and sum of the cells of a slice that are not dark, and which cells these are."""
    inputs = cell_inputs(stack, index, parameters)
    is_bright = _on_grid(stack.smooth(index, FINE), parameters.grid_size) > parameters.ridge_darkest
    inputs = inputs[torch.from_numpy(np.flatnonzero(is_bright))]
    return (inputs.T @ inputs).double(), inputs.sum(0).double(), is_bright


def _on_grid(image: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).ravel()


def ridge_key(masks: Mapping[int, NDArray[np.bool_]], annotated: Sequence[int]) -> tuple:
    """What a label's coefficients depend on."""
    return ("ridge", tuple(annotated), tuple((index, digest(mask)) for index, mask in sorted(masks.items())))
