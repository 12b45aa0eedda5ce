# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Procedural pictures of textured shapes with class masks: a source to train on where there is no data set at all.

A class is a shape with a texture of its own; place, size, turn, colours and background are drawn for every picture, so
that shape and texture alone tell the class. Each picture shows two objects of different classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from ...files.atomic import write_json
from ...files.write_folder import write_folder
from ..items import Item, picture_item, read_in_threads
from .folders import check_classes, dataset_folder, find_file

__all__ = ["SYNTHETIC_CLASSES", "draw_picture", "read_synthetic", "synthetic_classes"]

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _rectangle(x: np.ndarray, y: np.ndarray, half_width: float, half_height: float) -> np.ndarray:
    return np.asarray(np.maximum(np.abs(x) - half_width, np.abs(y) - half_height))


# Shapes are functions of coordinates in which the object's radius is 1, negative inside.
_SHAPES: dict[str, Field] = {
    "striped disc": lambda x, y: np.hypot(x, y) - 1,
    "checked square": lambda x, y: _rectangle(x, y, 0.85, 0.85),
    "dotted triangle": lambda x, y: np.maximum(np.abs(x) * 0.866 + y * 0.5, -y) - 0.55,
    "grained ring": lambda x, y: np.abs(np.hypot(x, y) - 0.72) - 0.28,
    "smooth cross": lambda x, y: np.minimum(
        np.maximum(np.abs(x) - 0.3, np.abs(y) - 1), np.maximum(np.abs(y) - 0.3, np.abs(x) - 1)
    ),
    "wavy star": lambda x, y: np.hypot(x, y) - 0.7 - 0.3 * np.cos(5 * np.arctan2(y, x)),
    "ringed ellipse": lambda x, y: np.hypot(x, y / 0.55) - 1,
    "speckled crescent": lambda x, y: np.maximum(np.hypot(x, y) - 1, 0.75 - np.hypot(x - 0.5, y)),
    "crossed diamond": lambda x, y: np.abs(x) + np.abs(y) - 1,
    "shaded capsule": lambda x, y: np.hypot(np.maximum(np.abs(x) - 0.6, 0), y) - 0.4,
}
# Textures are functions of the same coordinates with values in [-1, 1]; None stands for a texture made of noise.
_TEXTURES: dict[str, Field | None] = {
    "striped disc": lambda x, y: np.sign(np.sin(14 * x)),
    "checked square": lambda x, y: np.sign(np.sin(11 * x) * np.sin(11 * y)),
    "dotted triangle": lambda x, y: np.where(np.cos(13 * x) + np.cos(13 * y) > 1, 1.0, -0.6),
    "grained ring": None,
    "smooth cross": lambda x, y: np.zeros_like(x),
    "wavy star": lambda x, y: np.sin(12 * y + 2 * np.sin(6 * x)),
    "ringed ellipse": lambda x, y: np.sign(np.sin(16 * np.hypot(x, y / 0.55))),
    "speckled crescent": None,
    "crossed diamond": lambda x, y: np.where(
        np.abs(np.sin(8 * (x + y))) + np.abs(np.sin(8 * (x - y))) < 0.9, 1.0, -0.5
    ),
    "shaded capsule": lambda x, y: np.clip(-1.2 * x, -1, 1),
}
_NOISE_SCALE = {"grained ring": 0.9, "speckled crescent": 2.2}  # pixels
SYNTHETIC_CLASSES = list(_SHAPES)
NUM_BASE_CLASSES = 7
LAYOUT = "images/<n>.png and masks/<n>.png, written by the bundle itself"


def synthetic_classes(part: str) -> list[str]:
    """Classes for training (``base``), or held out for validation (``novel``)."""
    if part not in ("base", "novel"):
        raise ValueError(f"part is 'base' or 'novel', not {part!r}")
    return SYNTHETIC_CLASSES[:NUM_BASE_CLASSES] if part == "base" else SYNTHETIC_CLASSES[NUM_BASE_CLASSES:]


def read_synthetic(
    dataset_dir: str | Path,
    classes: Iterable[str] | None = None,
    *,
    num_images: int = 200,
    size: int = 200,
    seed: int = 0,
) -> list[Item]:
    """Describe the pictures; they are drawn into the folder first where they aren't there yet.

    Args:
        dataset_dir: parent folder; the pictures lie in a folder of it that is named for the drawing's arguments.
        classes: class names; None for all. Images that show none of them are left out.
        num_images: pictures in the set.
        size: height and width in pixels.
        seed: the same seed gives the same pictures.
    """
    wanted = check_classes(classes, SYNTHETIC_CLASSES, "the synthetic set")
    folder = Path(dataset_dir).expanduser() / f"synthetic_{num_images}x{size}_seed{seed}"
    if not (folder / "complete.json").is_file():
        write_folder(folder, lambda draft: _write(draft, num_images, size, seed))
    dataset_folder(folder, "the synthetic set", LAYOUT, ["images", "masks"])
    known = range(len(SYNTHETIC_CLASSES) + 1)
    class_values = {name: [SYNTHETIC_CLASSES.index(name) + 1] for name in wanted}

    def describe(number: int) -> Item:
        name = f"{number:04d}"
        image = find_file(folder / "images", [f"{name}.png"], f"{folder} should hold {num_images} pictures")
        label = find_file(folder / "masks", [f"{name}.png"], f"{image} has no mask")
        return picture_item(image, label, name, class_values=class_values, known_values=known)

    return [item for item in read_in_threads(describe, range(num_images)) if item["classes"]]


def draw_picture(number: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one picture.

    Returns:
        uint8 (size, size, 3), and its mask, uint8 (size, size): 0 background, 1 + place in SYNTHETIC_CLASSES.
    """
    rng = np.random.default_rng([seed, number])
    picture = _background(rng, size)
    mask = np.zeros((size, size), np.uint8)
    first = number % len(SYNTHETIC_CLASSES)  # every class gets its share
    second = (first + int(rng.integers(1, len(SYNTHETIC_CLASSES)))) % len(SYNTHETIC_CLASSES)
    on_left = bool(rng.integers(2))
    for index, left in ((second, not on_left), (first, on_left)):
        name = SYNTHETIC_CLASSES[index]
        x, y = _object_coordinates(rng, size, left)
        inside = _SHAPES[name](x, y) < 0
        contrast = _texture(rng, name, x, y)[..., None] * rng.uniform(0.12, 0.3)
        colour = rng.uniform(0.2, 0.8, 3) + contrast * rng.uniform(0.5, 1, 3)
        picture = np.where(inside[..., None], colour, picture)
        mask[inside] = index + 1
    picture = gaussian_filter(picture, (0.6, 0.6, 0)) + rng.normal(0, 0.02, picture.shape)
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8), mask


def _write(folder: Path, num_images: int, size: int, seed: int) -> None:
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    for number in range(num_images):
        picture, mask = draw_picture(number, size, seed)
        Image.fromarray(picture).save(folder / "images" / f"{number:04d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number:04d}.png")
    write_json(folder / "complete.json", {"classes": SYNTHETIC_CLASSES, "num_images": num_images})


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Cloudy colours: noise at two scales around a base colour."""
    coarse = gaussian_filter(rng.normal(size=(size, size, 3)), (size / 8, size / 8, 0), mode="wrap")
    fine = gaussian_filter(rng.normal(size=(size, size, 3)), (size / 60, size / 60, 0), mode="wrap")
    noise = 0.14 * coarse / coarse.std() + 0.05 * fine / fine.std()
    return np.asarray(rng.uniform(0.25, 0.75, 3) + noise)


def _object_coordinates(rng: np.random.Generator, size: int, left: bool) -> tuple[np.ndarray, np.ndarray]:
    """Turned and scaled coordinates around a random centre in one half of the picture."""
    radius = rng.uniform(0.13, 0.24)
    centre_x = rng.uniform(radius, 0.5) + (0 if left else 0.5 - radius)
    centre_y = rng.uniform(radius, 1 - radius)
    angle = rng.uniform(-0.6, 0.6)
    grid = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid((grid - centre_x) / radius, (grid - centre_y) / radius)
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _texture(rng: np.random.Generator, name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    pattern = _TEXTURES[name]
    if pattern is not None:
        return pattern(x, y)
    noise = gaussian_filter(rng.normal(size=x.shape), _NOISE_SCALE[name])
    return np.asarray(np.clip(noise / noise.std(), -1.5, 1.5) / 1.5)
