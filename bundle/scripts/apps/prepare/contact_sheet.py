# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One picture of many: images of a set with the outlines of their labels, to see at a glance whether the two fit."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from ...data.items import Item
from ...files.atomic import replace_when_done
from ...transforms import LoadItemd, LoadVolumed, ScaleIntensityBodyd

__all__ = ["choose_items", "draw_contact_sheet"]

# Okabe and Ito's colours, which colour-blind readers tell apart
_PALETTE = ("#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#F0E442", "#D55E00", "#0072B2")
_TILE, _CAPTION, _GAP, _LEGEND = 192, 18, 6, 22  # pixels
_TINT = 0.3
_FONT_SIZE = 12
_MOST_IN_LEGEND = 14


def draw_contact_sheet(
    path: str | os.PathLike[str], items: Sequence[Item], *, num_shown: int = 24, columns: int = 6
) -> Path:
    """Write a PNG of some images, each with its classes tinted and outlined, and a legend.

    Args:
        path: PNG file.
        items: 2D items or volumes; of a volume the slice with the largest area of the class is shown.
        num_shown: number of images.
        columns: images per row.
    """
    chosen = choose_items(items, num_shown)
    if not chosen:
        raise ValueError(f"there is no image to draw on {path}")
    names = list(dict.fromkeys(name for item in chosen for name in item["classes"]))
    colours: dict[str, tuple[int, ...]] = {
        name: ImageColor.getrgb(_PALETTE[index % len(_PALETTE)]) for index, name in enumerate(names)
    }
    load = LoadItemd(
        volume_transforms=[LoadVolumed(keys=["image", "label"]), ScaleIntensityBodyd(keys="image")], volumes_kept=1
    )
    columns = min(columns, len(chosen))
    rows = -(-len(chosen) // columns)
    size = (columns * (_TILE + _GAP) + _GAP, rows * (_TILE + _CAPTION + _GAP) + _GAP + _LEGEND)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for index, item in enumerate(chosen):
        left = _GAP + index % columns * (_TILE + _GAP)
        top = _GAP + index // columns * (_TILE + _CAPTION + _GAP)
        loaded = load(cast("dict[Hashable, Any]", item))
        tile = _tile(loaded["image"].numpy(), loaded["label"].numpy()[0], item, colours)
        sheet.paste(tile, (left + (_TILE - tile.width) // 2, top + (_TILE - tile.height) // 2))
        draw.text((left, top + _TILE + 2), _fit(_caption(item), font), fill="black", font=font)
    _draw_legend(draw, colours, size, font)
    with replace_when_done(path) as partial:
        sheet.save(partial, format="PNG")
    return Path(path)


def choose_items(items: Sequence[Item], number: int) -> list[Item]:
    """Images for the sheet: classes in turn, for each spread evenly over its images; no image twice.

    Volumes are replaced by the slice with the largest area of the class whose turn it is.
    """
    of_class: dict[str, list[int]] = {}
    for position, item in enumerate(items):
        for name in item["classes"]:
            of_class.setdefault(name, []).append(position)
    if not of_class:
        return [item for item in items if "slice_areas" not in item][:number]
    share = -(-number // len(of_class))
    spread = {
        name: [own[step] for step in np.unique(np.linspace(0, len(own) - 1, min(share, len(own))).round().astype(int))]
        for name, own in of_class.items()
    }
    chosen: dict[tuple[int, int], Item] = {}
    for turn in range(share):
        for name, own in spread.items():
            if turn < len(own) and len(chosen) < number:
                item = items[own[turn]]
                z = int(np.argmax(item["slice_areas"][name])) if "slice_areas" in item else -1
                chosen.setdefault((own[turn], z), item if z < 0 else {**item, "slice": z})
    return list(chosen.values())


def _tile(image: np.ndarray, label: np.ndarray, item: Item, colours: dict[str, tuple[int, ...]]) -> Image.Image:
    """(3, H, W) in [0, 1] and (H, W) values as one picture of at most the size of a tile."""
    height, width = label.shape
    scale = _TILE / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    picture = Image.fromarray((np.clip(image, 0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0))
    pixels = np.asarray(picture.resize(size, Image.Resampling.BILINEAR), dtype=np.float32).copy()
    for name, values in item["classes"].items():
        mask = Image.fromarray(np.isin(label, values)).resize(size, Image.Resampling.NEAREST)
        inside = np.asarray(mask)
        colour = np.asarray(colours[name], dtype=np.float32)
        pixels[inside] = (1 - _TINT) * pixels[inside] + _TINT * colour
        pixels[inside & ~binary_erosion(inside)] = colour
    return Image.fromarray(pixels.round().astype(np.uint8))


def _caption(item: Item) -> str:
    place = f" z={item['slice']}" if "slice" in item else ""
    return f"{item['case_id']}{place}"


def _fit(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Shorten in the middle until it fits below a tile."""
    kept = len(text)
    shown = text
    while font.getlength(shown) > _TILE and kept > 2:
        kept -= 1
        shown = f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"
    return shown


def _draw_legend(
    draw: ImageDraw.ImageDraw,
    colours: dict[str, tuple[int, ...]],
    size: tuple[int, int],
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    x, y = _GAP, size[1] - _LEGEND
    for index, (name, colour) in enumerate(colours.items()):
        text = name if index < _MOST_IN_LEGEND else f"and {len(colours) - index} more classes"
        end = x + 18 + font.getlength(text)
        if index >= _MOST_IN_LEGEND or end > size[0]:
            draw.text((x, y), f"+ {len(colours) - index}", fill="black", font=font)
            return
        draw.rectangle((x, y + 2, x + 12, y + 14), fill=colour)
        draw.text((x + 16, y), text, fill="black", font=font)
        x = int(end) + 12
