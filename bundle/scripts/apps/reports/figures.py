# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Figures of results: slices with the predicted and the true outline.

Drawn without pyplot, so that nothing is global and no display is needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ...files.atomic import replace_when_done

__all__ = ["OverlaySlice", "draw_slices", "save_figure"]

# Okabe and Ito's colours, which colour-blind readers tell apart, in the order of contrast on a grey image
_PALETTE = ("#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#F0E442", "#D55E00", "#0072B2")
_ANNOTATED = "#F5C518"
_TRUTH = "#FFFFFF"
_DASHES = (0, (3, 1.5))
_LAYERS = {"image": None, "prediction": "pred", "truth": "truth"}  # row of a figure -> field of the slice
_DPI = 150
_PANEL = 2.1  # width of a slice in inches


@dataclass
class OverlaySlice:
    """A slice to draw. Arrays (H, W), shown as they are: row 0 on top."""

    image: NDArray[Any]
    pred: NDArray[Any] | None = None
    truth: NDArray[Any] | None = None
    title: str = ""
    is_annotated: bool = False


def draw_slices(
    path: str | os.PathLike[str],
    slices: Sequence[OverlaySlice],
    *,
    labels: Mapping[int, str],
    columns: int = 6,
    title: str = "",
    pixel_aspect: float = 1.0,
    apart: bool = False,
) -> Path:
    """Draw slices; annotated ones are framed.

    Args:
        path: PNG file.
        slices: in reading order, all of one size.
        labels: label value -> name; others are not drawn. Each keeps its colour, whichever are in a slice.
        columns: slices per row; with ``apart`` all stand in one row.
        title: above everything.
        pixel_aspect: height of a pixel divided by its width.
        apart: image, prediction and truth below each other, for labels that fill the picture (tissues). Otherwise one
            picture per slice: the prediction tinted with its outline, the truth a white dashed line.
    """
    if not slices:
        raise ValueError("no slice to draw")
    colours = {value: _PALETTE[index % len(_PALETTE)] for index, value in enumerate(sorted(labels))}
    columns = len(slices) if apart else min(columns, len(slices))
    layers = _present_layers(slices) if apart else []
    rows = len(layers) if apart else -(-len(slices) // columns)
    window = _window([each.image for each in slices])
    box = _content_box(slices, window)
    figure, grid = _panels(rows, columns, pixel_aspect * (box[1] - box[0]) / (box[3] - box[2]), title, apart)
    for index, axes in enumerate(grid.flat):
        if index >= len(slices) and not apart:
            axes.set_axis_off()
            continue
        each = slices[index % columns if apart else index]
        axes.imshow(each.image, cmap="gray", vmin=window[0], vmax=window[1], aspect=pixel_aspect)
        axes.set(xticks=[], yticks=[], xlim=(box[2] - 0.5, box[3] - 0.5), ylim=(box[1] - 0.5, box[0] - 0.5))
        _frame(axes, each, with_title=not apart or index < columns)
        if apart:
            layer = layers[index // columns]
            _fill(axes, getattr(each, _LAYERS[layer] or "", None), colours, alpha=0.75)
            if index % columns == 0:
                axes.set_ylabel(layer, fontsize=9)
        else:
            _fill(axes, each.pred, colours, alpha=0.3)
            _outline(axes, each.pred, colours, linewidths=1.1)
            _outline(axes, each.truth, dict.fromkeys(colours, _TRUTH), linewidths=0.8, linestyles=[_DASHES])
    handles: list[Patch | Line2D] = [Patch(color=colours[value], label=labels[value]) for value in sorted(labels)]
    if not apart and any(each.truth is not None for each in slices):
        handles.append(Line2D([], [], color="#777777", lw=1.2, ls=_DASHES, label="truth (white, dashed)"))
    if any(each.is_annotated for each in slices):
        handles.append(Patch(facecolor="none", edgecolor=_ANNOTATED, lw=2, label="annotated slice"))
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=8.5)
    return save_figure(figure, path)


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG, whole or not at all."""
    with replace_when_done(path) as partial:
        figure.savefig(partial, format="png", facecolor="white")
    return Path(path)


def _present_layers(slices: Sequence[OverlaySlice]) -> list[str]:
    return [
        name
        for name, attribute in _LAYERS.items()
        if attribute is None or any(getattr(each, attribute) is not None for each in slices)
    ]


def _panels(rows: int, columns: int, ratio: float, title: str, apart: bool) -> tuple[Figure, NDArray[Any]]:
    """Make a grid of panels, ``ratio`` times as high as wide, with room for titles and legend (in inches)."""
    above, below, between, left = (0.58 if title else 0.3), 0.42, (0.06 if apart else 0.3), (0.3 if apart else 0.02)
    panel_height = _PANEL * ratio
    height = rows * panel_height + (rows - 1) * between + above + below
    width = columns * (_PANEL + 0.06) + left
    figure = Figure(figsize=(width, height), dpi=_DPI)
    grid = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=left / width, right=1 - 0.02 / width, bottom=below / height, top=1 - above / height,
        hspace=between / panel_height, wspace=0.03,
    )  # fmt: skip
    if title:
        figure.suptitle(title, fontsize=11, fontweight="bold", y=1 - 0.1 / height, va="top")
    return figure, grid


def _fill(axes: Axes, label_map: NDArray[Any] | None, colours: Mapping[int, str], *, alpha: float) -> None:
    if label_map is None:
        return
    tint = np.zeros((*label_map.shape, 4))
    for value, colour in colours.items():
        tint[label_map == value] = to_rgba(colour, alpha)
    axes.imshow(tint, aspect=axes.get_aspect(), interpolation="nearest")


def _outline(axes: Axes, label_map: NDArray[Any] | None, colours: Mapping[int, str], **style: Any) -> None:
    for value, colour in colours.items():
        if label_map is not None and (label_map == value).any():
            axes.contour((label_map == value).astype(float), levels=[0.5], colors=[colour], **style)


def _frame(axes: Axes, each: OverlaySlice, *, with_title: bool) -> None:
    for spine in axes.spines.values():
        spine.set(edgecolor=_ANNOTATED if each.is_annotated else "none", linewidth=2.5)
    if with_title:
        text, weight = (f"{each.title}, annotated", "bold") if each.is_annotated else (each.title, "normal")
        axes.set_title(text, fontsize=8.5, pad=3, fontweight=weight)


def _window(images: Sequence[NDArray[Any]]) -> tuple[float, float]:
    values = np.concatenate([np.asarray(image, float).ravel() for image in images])
    low, high = np.percentile(values, [1, 99.5])
    return float(low), float(max(high, low + 1e-6))


def _content_box(slices: Sequence[OverlaySlice], window: tuple[float, float]) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of what is bright or labelled in any slice; the empty rim isn't drawn."""
    threshold = window[0] + 0.08 * (window[1] - window[0])
    shown = np.zeros(slices[0].image.shape, bool)
    for each in slices:
        shown |= np.asarray(each.image) > threshold
        for labels in (each.pred, each.truth):
            if labels is not None:
                shown |= labels != 0
    edges = []
    for axis in (1, 0):
        where = np.flatnonzero(shown.any(axis=axis)) if shown.any() else np.array([0, shown.shape[1 - axis] - 1])
        margin = max(round(0.03 * len(where)), 1)
        edges += [max(int(where[0]) - margin, 0), min(int(where[-1]) + 1 + margin, shown.shape[1 - axis])]
    return edges[0], edges[1], edges[2], edges[3]
