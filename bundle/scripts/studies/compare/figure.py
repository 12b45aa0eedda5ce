# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The paper's figure: per target the support, the truth, and each host's mask without and with text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...apps.reports.figures import save_figure
from ...files.read_json import read_json_object
from ...metrics.segmentation import count_overlap, iou_score

__all__ = ["draw_examples"]

_PANEL = 2.0  # inches
_SUPPORT, _TRUTH, _FOUND = (0.9, 0.62, 0.0), (0.0, 0.62, 0.45), (0.84, 0.37, 0.0)


def draw_examples(folders: Iterable[Path], output_dir: Path) -> list[Path]:
    """Draw one figure per host, refinement and number of shots, a row per target.

    Every row is the first task of the target's episode list (of the first seed): it was not chosen.

    Args:
        folders: of finished cells.
        output_dir: gets ``<host>-<refinement>-<shots>shot.png``.

    Returns:
        The files; none for volumes that are their own support.
    """
    figures: dict[tuple[str, str, int], dict[str, dict[str, Path]]] = {}
    for folder in folders:
        if not (folder / "first.npz").is_file():
            continue
        cell = read_json_object(folder / "cell.json")["cell"]
        labels = cell["labels"]
        rows = figures.setdefault((labels["host"], labels["refinement"], cell["num_shots"]), {})
        rows.setdefault(labels["target"], {}).setdefault(labels["text"], folder / "first.npz")
    return [_draw(*key, rows, output_dir) for key, rows in figures.items()]


def _draw(host: str, refinement: str, num_shots: int, rows: Mapping[str, Mapping[str, Path]], output_dir: Path) -> Path:
    texts = list(dict.fromkeys(text for files in rows.values() for text in files))
    columns = 2 + len(texts)
    figure = Figure(figsize=(_PANEL * columns, (_PANEL + 0.25) * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for number, (target, files) in enumerate(rows.items()):
        for place, text in enumerate(texts):
            if text not in files:
                grid[number, 2 + place].set_axis_off()
                continue
            with np.load(files[text]) as content:
                arrays = dict(content)
            if place == 0 or texts[0] not in files:
                _show(
                    grid[number, 0],
                    arrays["support_image"],
                    arrays["support_label"] == 1,
                    _SUPPORT,
                    f"{target}: support",
                )
                _show(grid[number, 1], arrays["image"], arrays["label"] == 1, _TRUTH, "truth")
            counts = count_overlap(arrays["pred"].astype(np.uint8), arrays["label"])
            iou = float(iou_score(counts.intersection, counts.union))
            name = host if text == "off" else f"{host} + {text}"
            _show(grid[number, 2 + place], arrays["image"], arrays["pred"], _FOUND, f"{name}, IoU {100 * iou:.0f} %")
    return save_figure(figure, output_dir / f"{host}-{refinement}-{num_shots}shot.png")


def _show(axes: Axes, image: NDArray[Any], mask: NDArray[Any], colour: tuple[float, float, float], title: str) -> None:
    """Show a picture (3, S, S) stretched to the mask's shape (H, W), with the mask tinted."""
    rows, columns = mask.shape
    extent = (0, columns, rows, 0)
    axes.imshow(np.clip(image, 0, 1).transpose(1, 2, 0), extent=extent, aspect="equal")
    tint = np.zeros((*mask.shape, 4), np.float32)
    tint[mask.astype(bool)] = (*colour, 0.55)
    axes.imshow(tint, extent=extent, interpolation="nearest", aspect="equal")
    axes.set_title(title, fontsize=8)
    axes.set_xticks([])
    axes.set_yticks([])
