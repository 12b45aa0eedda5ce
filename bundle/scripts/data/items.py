# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The datalist: flat dictionaries that say where an image and its label lie and which classes they show.

A 2D item has ``image``, ``label``, ``case_id``, ``classes`` (name -> label values, only classes present), ``areas``
(name -> fraction of the image) and, where the set has one, ``ignore_value``. A volume has ``slice_areas`` (name -> one
fraction per canonical slice) in place of ``areas``. A slice is like a 2D item, with ``slice`` and ``num_slices``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .dicom.label_stack import is_label_stack
from .mask_values import MIDDLE, NUM_VALUES, UnknownLabelError, foreground_values, is_one_class, shade_values
from .picture_reader import picture_size, read_index
from .readers.mask_index import MaskIndex, count_values
from .volume_names import is_volume_file
from .volume_reader import check_same_grid, on_grid_of, read_volume

__all__ = [
    "Item",
    "binary_picture_item",
    "expand_items",
    "item_id",
    "picture_item",
    "read_in_threads",
    "slice_items",
    "volume_item",
    "with_flips",
]

Item = dict[str, Any]
Values = Mapping[str, Sequence[int]]
Source = TypeVar("Source")


def item_id(item: Mapping[str, Any]) -> str:
    """``case_id`` of a 2D item, ``case_id:slice`` of a slice; a flipped copy has the id of its original."""
    return f"{item['case_id']}:{item['slice']}" if "slice" in item else str(item["case_id"])


def with_flips(items: Iterable[Item]) -> list[Item]:
    """Every item, followed by a copy marked ``flip`` that ``FlipIfFlaggedd`` mirrors left to right."""
    return [variant for item in items for variant in (item, {**item, "flip": True})]


def picture_item(
    image: str | Path,
    label: str | Path,
    case_id: str,
    *,
    class_values: Values | None = None,
    ignore_value: int | None = None,
    known_values: Iterable[int] | None = None,
    masks: MaskIndex | None = None,
    **extra: Any,
) -> Item:
    """Describe one picture and its mask.

    Args:
        image: picture file.
        label: mask file of the same size.
        case_id: name of the pair, unique in the set.
        class_values: name -> label values that make up the class; None: each value v above 0 is a class ``class_v``.
        ignore_value: label value of pixels that count neither as foreground nor as background.
        known_values: all values that may occur; None: those of `class_values`, 0 and `ignore_value`.
        masks: what is known of masks from an earlier start; None reads them.
        extra: further entries of the item.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: when the sizes differ, a value is unknown or a file is broken.
    """
    shape, counts = count_values(label) if masks is None else masks.count_values(label)
    height, width = picture_size(image)
    if shape != (height, width):
        raise ValueError(
            f"{image} has {height} x {width} pixels (rows x columns), its mask {label} {shape[0]} x {shape[1]}"
        )
    if class_values is None and ignore_value is None:
        shades = shade_values(read_index(label), label)
        class_values = None if shades is None else {"class_1": shades}
        known_values = None if shades is None else range(NUM_VALUES)
    values = _class_values(counts, class_values, ignore_value, known_values, label)
    areas = {name: float(counts[list(own)].sum() / counts.sum()) for name, own in values.items()}
    item: Item = {
        "image": str(image),
        "label": str(label),
        "case_id": str(case_id),
        "classes": {name: list(values[name]) for name, area in areas.items() if area > 0},
        "areas": {name: area for name, area in areas.items() if area > 0},
        **extra,
    }
    if ignore_value is not None:
        item["ignore_value"] = ignore_value
    return item


def binary_picture_item(image: str | Path, label: str | Path, case_id: str, *, class_name: str, **extra: Any) -> Item:
    """Describe a picture and the mask of its one class, 0 and 1 or 0 and 255, perhaps with shades along its edges.

    An empty mask is allowed. Errors are those of `picture_item` and `foreground_values`.
    """
    masks: MaskIndex | None = extra.get("masks")
    _, counts = count_values(label) if masks is None else masks.count_values(label)
    values = {class_name: foreground_values(counts, label)}
    return picture_item(image, label, case_id, class_values=values, known_values=range(NUM_VALUES), **extra)


def volume_item(
    image: str | Path,
    label: str | Path,
    case_id: str,
    *,
    class_values: Values | None = None,
    series_uid: str | None = None,
    **extra: Any,
) -> Item:
    """Describe one volume and its label map, slice by slice in the canonical orientation.

    Further arguments and errors are those of `picture_item`.

    Args:
        image: NIfTI file, or folder or file of a DICOM series.
        label: label map on the same grid, see `read_volume`.
        case_id: name of the pair, unique in the set.
        class_values: see `picture_item`.
        series_uid: SeriesInstanceUID, where the image's folder holds several series; an entry of the item.
        extra: further entries of the item.
    """
    volume = read_volume(label, is_label=True, image=image, series_uid=series_uid)
    if not is_label_stack(label):  # pictures are read on the grid of the image's series
        own = read_volume(image, series_uid=series_uid)
        volume = on_grid_of(own, volume)
        check_same_grid(own, volume)
    if series_uid is not None:
        extra["series_uid"] = series_uid
    slices = np.moveaxis(volume.array, 2, 0).reshape(volume.array.shape[2], -1)
    counts = np.stack([np.bincount(plane, minlength=NUM_VALUES) for plane in slices])
    foreground = None
    if class_values is None:
        foreground, class_name = shade_values(volume.array, label), "class_1"
    elif is_one_class(class_values) and counts[:, MIDDLE:].any():
        foreground, class_name = foreground_values(counts.sum(0), label), next(iter(class_values))
    if foreground is not None:
        class_values = {class_name: foreground}
    values = _class_values(counts.sum(0), class_values, None, None, label)
    areas = {name: (counts[:, list(own)].sum(1) / slices.shape[1]).tolist() for name, own in values.items()}
    present = [name for name, area in areas.items() if any(area)]
    return {
        "image": str(image),
        "label": str(label),
        "case_id": str(case_id),
        "classes": {name: list(values[name]) for name in present},
        "slice_areas": {name: areas[name] for name in present},
        "num_slices": len(slices),
        **extra,
    }


def slice_items(volumes: Iterable[Item]) -> list[Item]:
    """One 2D item per slice of every volume, from the feet to the head."""
    items = []
    for volume in volumes:
        shared = {key: value for key, value in volume.items() if key not in ("classes", "slice_areas")}
        for z in range(volume["num_slices"]):
            areas = {name: area[z] for name, area in volume["slice_areas"].items() if area[z] > 0}
            classes = {name: volume["classes"][name] for name in areas}
            items.append({**shared, "classes": classes, "areas": areas, "slice": z})
    return items


def expand_items(data: Iterable[Mapping[str, Any]]) -> list[Item]:
    """Bring any datalist to 2D items: volumes become slices, bare ``{image, label}`` pairs are described."""
    items: list[Item] = []
    for number, entry in enumerate(data):
        missing = {"image", "label"} - set(entry)
        if missing:
            raise ValueError(f"item {number} of the datalist has no {' and no '.join(sorted(missing))}: {dict(entry)}")
        item = dict(entry) if "classes" in entry else _describe(entry)
        items.extend(slice_items([item]) if "slice_areas" in item else [item])
    return items


def read_in_threads(describe: Callable[[Source], Item], sources: Iterable[Source], num_threads: int = 4) -> list[Item]:
    """Map in order; the decoders release the interpreter lock, so threads help."""
    with ThreadPoolExecutor(num_threads) as pool:
        return list(pool.map(describe, sources))


def _describe(entry: Mapping[str, Any]) -> Item:
    image, label = str(entry["image"]), str(entry["label"])
    case_id = str(entry.get("case_id", image))
    if is_volume_file(image):
        return {**entry, **volume_item(image, label, case_id, series_uid=entry.get("series_uid"))}
    return {**entry, **picture_item(image, label, case_id)}


def _class_values(
    counts: np.ndarray,
    class_values: Values | None,
    ignore_value: int | None,
    known_values: Iterable[int] | None,
    label: str | Path,
) -> Values:
    """Check the values that occur; make up one class per value where no table is given."""
    found = {int(value) for value in np.flatnonzero(counts)} - {0, ignore_value}
    if class_values is None:
        return {f"class_{value}": [value] for value in sorted(found)}
    known = {value for own in class_values.values() for value in own} if known_values is None else set(known_values)
    if found - known:
        expected = sorted(known | {0} | ({ignore_value} if ignore_value is not None else set()))
        raise UnknownLabelError(
            f"{label} has unknown label values {sorted(found - known)}; expected {_ranges(expected)}"
        )
    return class_values


def _ranges(values: Sequence[int]) -> str:
    """[0, 1, 2, 3, 255] -> '0-3, 255'."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
