# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A ridge regression per label over the whole volume: what the label looks like and where it lies, on all slices.

The masks that travelled train it, those near an annotation more than those far away, foreground and background with
equal weight. It corrects what a chain, which sees two slices at a time, gets wrong.

    w = argmin  sum_i a_i (x_i w - y_i)^2 + penalty * mean(diag(X' A X)) * |w|^2

The normal matrix of the background is nearly that of the whole slice, which all labels share; only the label's own
cells are taken out of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..memory.memo import Memo, digest
from ..parameters import RidgeParameters
from .matching import cell_coverage
from .slice_features import SliceStack

__all__ = ["cell_inputs", "fit_ridges", "predict_ridge", "ridge_key"]

FINE, COARSE, SPREAD = 1.0, 2.5, 2.0  # pixels, standard deviations of the Gaussians
_SUMS = 2**30  # bytes of sums that are added up side by side


def cell_inputs(stack: SliceStack, index: int, levels: Sequence[str]) -> Tensor:
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
    return torch.cat([*(unit[level].T for level in levels), torch.from_numpy(plain)], dim=1)


def fit_ridges(
    stack: SliceStack,
    labels: NDArray[np.int32],
    annotated: Mapping[int, Sequence[int]],
    parameters: RidgeParameters,
    memo: Memo,
) -> dict[int, Tensor | None]:
    """Fit the coefficients (D,) of several labels, float32; None where there is nothing to tell apart.

    The slices are walked through once for as many labels as their sums have room, so that inputs and moments of a slice
    serve all of them and needn't be kept.

    Args:
        stack: the slices.
        labels: (Z, h, w), where the labels were found.
        annotated: by label, the slices on which it was annotated; its keys are the labels.
        parameters: weights and thresholds.
        memo: keeps the moments of whole slices as far as it has room.
    """
    found: dict[int, Tensor | None] = {}
    for chosen in _groups(list(annotated), cell_inputs(stack, 0, parameters.ridge_levels).shape[1]):
        foreground, background = ({label: _Sums() for label in chosen} for _ in range(2))
        for index in range(len(stack)):
            inputs = cell_inputs(stack, index, parameters.ridge_levels)
            is_bright = _on_grid(stack.smooth(index, FINE), stack.grid) > parameters.ridge_darkest
            whole = memo.recall(("gram", stack.key, index), partial(_moments, inputs, is_bright))
            for label in chosen:
                away = min(abs(index - other) for other in annotated[label])
                weight = float(np.exp(-away / parameters.ridge_decay))
                background[label].add(whole, weight)
                mask = labels[index] == label
                if not mask.any():
                    continue
                coverage = cell_coverage(mask, stack.grid)
                inside = is_bright & (coverage > parameters.ridge_foreground)
                touched = is_bright & (coverage >= parameters.ridge_background)
                foreground[label].add(_moments(inputs, inside), weight)
                background[label].add(_moments(inputs, touched), -weight)
        for label in chosen:
            found[label] = _solve(foreground.pop(label), background.pop(label), parameters.ridge_penalty)
    return found


def _groups(labels: Sequence[int], width: int) -> Iterator[Sequence[int]]:
    """As many labels at a time as the sums of their foreground and background have room for."""
    count = max(1, _SUMS // (2 * 8 * width**2))
    for start in range(0, len(labels), count):
        yield labels[start : start + count]


def _solve(foreground: _Sums, background: _Sums, penalty: float) -> Tensor | None:
    if foreground.count <= 0 or background.count <= 0:
        return None
    shares = 0.5 / foreground.count, 0.5 / background.count
    matrix = shares[0] * foreground.matrix + shares[1] * background.matrix
    target = shares[0] * foreground.total - shares[1] * background.total
    penalty = penalty * float(matrix.diagonal().mean())
    matrix = matrix + penalty * torch.eye(len(matrix), dtype=torch.float64)
    coefficients: Tensor = torch.linalg.solve(matrix, target).float()
    return coefficients


def predict_ridge(
    stack: SliceStack, index: int, coefficients: Mapping[int, Tensor], levels: Sequence[str]
) -> dict[int, NDArray[np.float32]]:
    """Predictions (rows, columns of the grid) of several labels on one slice; about -1 outside, +1 inside."""
    if not coefficients:
        return {}
    stacked = torch.stack([coefficients[label] for label in coefficients], dim=1)
    maps = (cell_inputs(stack, index, levels) @ stacked).T.reshape(-1, *stack.grid)
    return {label: each.numpy() for label, each in zip(coefficients, maps, strict=True)}


def ridge_key(labels: NDArray[np.int32], label: int, annotated: Sequence[int]) -> tuple[object, ...]:
    """What a label's coefficients depend on, besides the stack."""
    masks = ((index, labels[index] == label) for index in range(len(labels)))
    return ("ridge", tuple(annotated), tuple((index, digest(mask)) for index, mask in masks if mask.any()))


@dataclass(frozen=True)
class _Moments:
    """Sums over the cells of a slice: X' X (D, D), X' 1 (D,), both float32, and the number of cells."""

    matrix: Tensor
    total: Tensor
    count: float

    @property
    def nbytes(self) -> int:
        return int(self.matrix.nbytes)


@dataclass
class _Sums:
    """Weighted sums over slices: X' A X (D, D), X' a (D,) and the sum of weights, in double precision."""

    matrix: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    total: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    count: float = 0.0

    def add(self, other: _Moments, weight: float) -> None:
        self.matrix = self.matrix + weight * other.matrix.double()
        self.total = self.total + weight * other.total.double()
        self.count += weight * other.count


def _moments(inputs: Tensor, chosen: NDArray[np.bool_]) -> _Moments:
    rows = inputs[torch.from_numpy(np.flatnonzero(chosen))]
    return _Moments(rows.T @ rows, rows.sum(0), float(len(rows)))


def _on_grid(image: NDArray[np.float32], grid: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(image, (grid[1], grid[0]), interpolation=cv2.INTER_AREA), np.float32).ravel()
