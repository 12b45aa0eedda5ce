# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a data set holds: counts per class, sizes, intensities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from ...data.items import Item
from ...data.picture_reader import picture_size
from ...data.volume_names import is_volume_file
from ...data.volume_reader import load_volume

__all__ = ["summarise"]

_PERCENTILES = {"p1": 1, "median": 50, "p99": 99}
_MOST_MODES = 8


def summarise(items: Sequence[Item], num_sampled: int = 100) -> dict[str, Any]:
    """Describe a datalist.

    Args:
        items: 2D items or volumes.
        num_sampled: images, spread evenly over the list, that sizes and intensities are taken from.

    Returns:
        ``num_items``, ``num_empty`` (without any class), ``classes`` (name -> items, slices, mean and smallest area),
        ``sizes``, ``intensities`` (as stored, before any scaling) and the number of images that those two are from.
    """
    steps = np.linspace(0, len(items) - 1, min(num_sampled, len(items))).round().astype(int)
    sampled = [items[step] for step in np.unique(steps)]
    is_volumes = bool(items) and is_volume_file(items[0]["image"])
    return {
        "num_items": len(items),
        "num_empty": sum(not item["classes"] for item in items),
        "classes": {name: _class_summary(items, name) for name in _class_names(items)},
        "num_sampled": len(sampled),
        **(_volume_statistics(sampled) if is_volumes else _picture_statistics(sampled)),
    }


def _class_names(items: Sequence[Item]) -> list[str]:
    return list(dict.fromkeys(name for item in items for name in item["classes"]))


def _class_summary(items: Sequence[Item], name: str) -> dict[str, Any]:
    showing = [item for item in items if name in item["classes"]]
    if "slice_areas" in showing[0]:
        areas = [area for item in showing for area in item["slice_areas"][name] if area > 0]
        extra = {"slices": len(areas)}
    else:
        areas, extra = [item["areas"][name] for item in showing], {}
    return {
        "items": len(showing),
        **extra,
        "mean_area": round(float(np.mean(areas)), 5),
        "smallest_area": round(float(np.min(areas)), 7),
    }


def _picture_statistics(items: Sequence[Item]) -> dict[str, Any]:
    sizes = [picture_size(item["image"]) for item in items]
    modes: Counter[str] = Counter()
    values = []
    for item in items:
        with Image.open(item["image"]) as picture:
            modes[f"{picture.format} {picture.mode}"] += 1
            values.append(np.asarray(picture))
    return {
        "sizes": {
            "height": _range([height for height, _ in sizes]),
            "width": _range([width for _, width in sizes]),
        },
        "formats": dict(modes.most_common(_MOST_MODES)),
        "intensities": _intensities(values),
    }


def _volume_statistics(items: Sequence[Item]) -> dict[str, Any]:
    shapes, spacings, values = [], [], []
    for item in items:
        volume = load_volume(item["image"], series_uid=item.get("series_uid"))
        shapes.append(volume.shape[1:])
        spacings.append(volume.pixdim.tolist())
        values.append(volume.numpy())
    axes = ("left", "back", "head")
    return {
        "sizes": {axis: _range([shape[index] for shape in shapes]) for index, axis in enumerate(axes)},
        "spacing_mm": {axis: _range([spacing[index] for spacing in spacings]) for index, axis in enumerate(axes)},
        "intensities": _intensities(values),
    }


def _intensities(arrays: Sequence[np.ndarray]) -> dict[str, float]:
    """Lowest and highest value of all images; percentiles of single images, averaged."""
    if not arrays:
        return {}
    percentiles = np.mean([np.percentile(array, list(_PERCENTILES.values())) for array in arrays], axis=0)
    return {
        "min": float(min(array.min() for array in arrays)),
        **{name: round(float(value), 3) for name, value in zip(_PERCENTILES, percentiles, strict=True)},
        "max": float(max(array.max() for array in arrays)),
    }


def _range(values: Sequence[float]) -> dict[str, float]:
    return {
        "min": round(float(min(values)), 4),
        "median": round(float(np.median(values)), 4),
        "max": round(float(max(values)), 4),
    }
