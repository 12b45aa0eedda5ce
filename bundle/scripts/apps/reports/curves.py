# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Curves of a training, drawn from what it logged for TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from .figures import save_figure

__all__ = ["draw_curves", "read_scalars"]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_DPI = 150
_FEW = 40  # points up to which each has a marker


def read_scalars(log_dir: str | os.PathLike[str]) -> dict[str, list[tuple[int, float]]]:
    """Read the event files of a folder (and of the folders below it).

    Returns:
        tag -> points (step, value), sorted by step; where a resumed training logged a step again, the later value.

    Raises:
        FileNotFoundError: when there is no event file.
    """
    files = sorted(Path(log_dir).rglob("events.out.tfevents.*"), key=lambda file: file.stat().st_mtime)
    if not files:
        raise FileNotFoundError(f"no TensorBoard log in {log_dir}")
    scalars: dict[str, dict[int, float]] = {}
    for file in files:
        log = EventAccumulator(str(file), size_guidance={"scalars": 0}).Reload()
        for tag in log.Tags()["scalars"]:
            scalars.setdefault(tag, {}).update({event.step: event.value for event in log.Scalars(tag)})
    return {tag: sorted(points.items()) for tag, points in scalars.items()}


def draw_curves(
    path: str | os.PathLike[str],
    curves: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
    *,
    x_label: str = "iteration",
    title: str = "",
) -> Path:
    """Draw one panel per entry of ``curves``, each with its lines.

    Args:
        path: PNG file.
        curves: panel (its y label) -> line's name -> points (x, y).
        x_label: of all panels.
        title: above everything.
    """
    if not curves:
        raise ValueError("no curve to draw")
    figure = Figure(figsize=(4.6 * len(curves), 3.2), dpi=_DPI, layout="constrained")
    for axes, (y_label, lines) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
        for index, (name, points) in enumerate(lines.items()):
            _draw_line(axes, np.asarray(points, float), _COLOURS[index % len(_COLOURS)], name)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(color="#E5E5E5", lw=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=8.5)
    if title:
        figure.suptitle(title, fontsize=11, fontweight="bold")
    return save_figure(figure, path)


def _draw_line(axes: Axes, points: NDArray[Any], colour: str, name: str) -> None:
    """Draw few points with markers, many pale with their running mean."""
    x, y = points[:, 0], points[:, 1]
    if len(points) <= _FEW:
        axes.plot(x, y, color=colour, lw=1.6, marker="o", ms=3.5, label=name)
        return
    width = max(len(points) // 20, 2)
    kernel = np.ones(width)
    mean = np.convolve(y, kernel, "same") / np.convolve(np.ones_like(y), kernel, "same")
    axes.plot(x, y, color=colour, lw=0.7, alpha=0.3)
    axes.plot(x, mean, color=colour, lw=1.8, label=name)
