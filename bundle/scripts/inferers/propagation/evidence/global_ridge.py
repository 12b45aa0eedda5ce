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
from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..memory.memo import Memo, digest
from ..parameters import PropagationParameters
from .matching import cell_coverage
from .slice_features import SliceStack

__all__ = ["cell_inputs", "fit_ridge", "predict_ridge", "ridge_key"]

FINE, COARSE, SPREAD = 1.0, 2.5, 2.0  # pixels, standard deviations of the Gaussians


def cell_inputs(stack: SliceStack, index: int, parameters: PropagationParameters) -> Tensor:
    """Inputs of all cells of a slice, (cells, D): features, intensity, local spread, position."""
    grid = stack.grid
    image, fine = stack.image(index), _on_grid(stack.smooth(index, FINE), grid)
    coarse = _on_grid(stack.smooth(index, COARSE), grid)
    variance = cv2.GaussianBlur(image * image, (0, 0), SPREAD) - stack.smooth(index, SPREAD) ** 2
    spread = _on_grid(np.sqrt(np.maximum(variance, 0)), grid)
    axes = (np.linspace(-1, 1, size, dtype=np.float32) for size in grid)
    y, x = (part.ravel() for part in np.meshgrid(*axes, indexing="ij"))
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
    foreground, background = _Moments(), _Moments()
    for index in range(len(stack)):
        weight = float(np.exp(-min(abs(index - other) for other in annotated) / parameters.ridge_decay))
        whole, is_bright = memo.recall(("gram", stack.key, index), partial(_slice_moments, stack, index, parameters))
        background.add(whole, weight)
        mask = masks.get(index)
        if mask is None or not mask.any():
            continue
        coverage = cell_coverage(mask, stack.grid)
        inputs = cell_inputs(stack, index, parameters)
        inside = is_bright & (coverage > parameters.ridge_foreground)
        touched = is_bright & (coverage >= parameters.ridge_background)
        foreground.add(_moments(inputs, inside), weight)
        background.add(_moments(inputs, touched), -weight)
    if foreground.count <= 0 or background.count <= 0:
        return None
    shares = 0.5 / foreground.count, 0.5 / background.count
    matrix = shares[0] * foreground.matrix + shares[1] * background.matrix
    target = shares[0] * foreground.total - shares[1] * background.total
    penalty = parameters.ridge_penalty * matrix.diagonal().mean()
    matrix = matrix + penalty * torch.eye(len(matrix), dtype=torch.float64)
    return torch.linalg.solve(matrix, target).float()


def predict_ridge(
    stack: SliceStack, index: int, coefficients: Mapping[int, Tensor], parameters: PropagationParameters
) -> dict[int, NDArray[np.float32]]:
    """Predictions (rows, columns of the grid) of several labels on one slice; about -1 outside, +1 inside."""
    if not coefficients:
        return {}
    stacked = torch.stack([coefficients[label] for label in coefficients], dim=1)
    maps = (cell_inputs(stack, index, parameters) @ stacked).T.reshape(-1, *stack.grid)
    return {label: each.numpy() for label, each in zip(coefficients, maps, strict=True)}


def ridge_key(masks: Mapping[int, NDArray[np.bool_]], annotated: Sequence[int]) -> tuple[object, ...]:
    """What a label's coefficients depend on."""
    return ("ridge", tuple(annotated), tuple((index, digest(mask)) for index, mask in sorted(masks.items())))


@dataclass
class _Moments:
    """Weighted sums over cells: X' A X (D, D), X' a (D,) and the sum of weights."""

    matrix: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    total: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    count: float = 0.0

    def add(self, other: _Moments, weight: float) -> None:
        self.matrix = self.matrix + weight * other.matrix
        self.total = self.total + weight * other.total
        self.count += weight * other.count


def _moments(inputs: Tensor, chosen: NDArray[np.bool_]) -> _Moments:
    rows = inputs[torch.from_numpy(np.flatnonzero(chosen))]
    return _Moments((rows.T @ rows).double(), rows.sum(0).double(), float(len(rows)))


def _slice_moments(
    stack: SliceStack, index: int, parameters: PropagationParameters
) -> tuple[_Moments, NDArray[np.bool_]]:
    """Moments of the cells of a slice that are not dark, and which cells these are."""
    is_bright = _on_grid(stack.smooth(index, FINE), stack.grid) > parameters.ridge_darkest
    return _moments(cell_inputs(stack, index, parameters), is_bright), is_bright


def _on_grid(image: NDArray[np.float32], grid: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(image, (grid[1], grid[0]), interpolation=cv2.INTER_AREA), np.float32).ravel()
