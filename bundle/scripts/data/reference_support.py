# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Annotated pictures or volumes of other cases, arranged as supports for the slices of a new volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..labels import IGNORED, binary_label, stack_labels
from .class_names import name_labels
from .episodes.dataset import as_compose
from .episodes.protocols import NUM_CHUNKS
from .mask_values import label_tables
from .picture_reader import read_index
from .volume_names import is_volume_file
from .volume_reader import check_same_grid, read_volume

__all__ = ["ReferenceSupport", "SupportPart", "read_reference_support"]

_Parts = dict[int, list[tuple[list[tuple[int, int]], float | None]]]
"""Label value -> per part the (case, slice) pairs and their relative position."""


@dataclass(frozen=True)
class SupportPart:
    """The K supports of one label for one part of a volume.

    Attributes:
        images: indices into ``ReferenceSupport.images``.
        label: (K, 1, H, W) in {0, 1, 255}.
        position: relative height in the stack, 0 at the feet and 1 at the head; None where there is only one part.
    """

    images: tuple[int, ...]
    label: Tensor
    position: float | None


@dataclass(frozen=True)
class ReferenceSupport:
    """A support set for whole volumes.

    Attributes:
        images: (M, 3, S, S) in [0, 1]: every support slice or picture once.
        parts: label value -> its parts, from the feet up.
        class_names: label value -> name.
    """

    images: Tensor
    parts: dict[int, list[SupportPart]]
    class_names: dict[int, str]


def read_reference_support(
    images: str | Sequence[str],
    labels: str | Sequence[str],
    transform: Sequence[Callable[..., Any]] | Callable[..., Any],
    *,
    class_names: Sequence[str] = (),
    num_shots: int | None = None,
) -> ReferenceSupport:
    """Read annotated volumes (NIfTI, DICOM series) or annotated pictures.

    Of a volume, the middle slices of the thirds of each label's extent support the lower, middle and upper part of the
    new volume (K volumes: K supports per part). Pictures support every slice.

    Args:
        images: files, all volumes or all pictures.
        labels: as many label maps, in which 255 is ignored; or masks of one class (0 and 255, perhaps with shades along
            the edges), which are label 1, see `label_tables`.
        transform: item transforms: load, scale and resize one slice or picture.
        class_names: names of the labels in the order of their values.
        num_shots: take only the first so many cases; None takes all.

    Returns:
        The support set.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: when files don't pair up, no label has a pixel, or names and labels differ in number.
    """
    pairs = _pairs(images, labels)[:num_shots]
    compose = as_compose(transform)
    num_classes = len(class_names) or None
    if is_volume_file(pairs[0][0]):
        maps = {label: _label_stack(image, label) for image, label in pairs}
        tables = label_tables(maps, num_classes=num_classes)
        stacks = [tables[label][maps[label]] for _, label in pairs]
        parts = _volume_parts(stacks)
        wanted = sorted({case_slice for part in parts.values() for members, _ in part for case_slice in members})
        items = [{"image": pairs[case][0], "label": pairs[case][1], "slice": z} for case, z in wanted]
    else:
        items = [{"image": image, "label": label} for image, label in pairs]
        maps = {label: read_index(label) for _, label in pairs}
        tables = label_tables(maps, num_classes=num_classes, are_pictures=True)
        wanted = [(case, 0) for case in range(len(items))]
        parts = {}
    loaded = [compose(item) for item in items]
    masks = [
        torch.from_numpy(tables[pairs[case][1]])[torch.as_tensor(item["label"]).int()]
        for item, (case, _) in zip(loaded, wanted, strict=True)
    ]
    if not parts:
        parts = _picture_parts(masks)
    values = sorted(parts)
    if not values:
        raise ValueError(f"no label in {', '.join(label for _, label in pairs)}: every mask is empty")
    names = name_labels(values, class_names)
    index = {member: number for number, member in enumerate(wanted)}
    return ReferenceSupport(
        torch.stack([torch.as_tensor(item["image"]) for item in loaded]),
        {
            value: [
                SupportPart(
                    tuple(index[member] for member in members),
                    stack_labels([binary_label(masks[index[member]], [value], IGNORED) for member in members]),
                    position,
                )
                for members, position in part
            ]
            for value, part in parts.items()
        },
        names,
    )


def _pairs(images: str | Sequence[str], labels: str | Sequence[str]) -> list[tuple[str, str]]:
    image_list = [images] if isinstance(images, (str, Path)) else list(images or ())
    label_list = [labels] if isinstance(labels, (str, Path)) else list(labels or ())
    if not image_list:
        raise ValueError("no support given: name annotated images in support_images and their masks in support_labels")
    if len(image_list) != len(label_list):
        raise ValueError(
            f"{len(image_list)} support_images but {len(label_list)} support_labels: give one mask per image"
        )
    for path in (*image_list, *label_list):
        if not Path(path).exists():
            raise FileNotFoundError(f"support file {path} does not exist")
    kinds = {is_volume_file(path) for path in (*image_list, *label_list)}
    if len(kinds) > 1:
        raise ValueError(
            f"supports must be all volumes or all pictures, got {', '.join(map(str, image_list + label_list))}"
        )
    return [(str(image), str(label)) for image, label in zip(image_list, label_list, strict=True)]


def _label_stack(image: str, label: str) -> np.ndarray:
    """(Z, Y, X) of a label map that lies on the grid of its image."""
    volume = read_volume(label, is_label=True, image=image)
    check_same_grid(read_volume(image), volume)
    return volume.array.transpose(2, 1, 0)


def _volume_parts(stacks: Sequence[np.ndarray]) -> _Parts:
    """Label value -> per third of its extent the (case, slice) pairs and their mean relative position."""
    values = sorted({int(value) for stack in stacks for value in np.unique(stack)} - {0, IGNORED})
    parts: _Parts = {}
    for value in values:
        members: list[list[tuple[int, int]]] = [[] for _ in range(NUM_CHUNKS)]
        for case, stack in enumerate(stacks):
            slices = np.flatnonzero((stack == value).any(axis=(1, 2)))
            for number, chunk in enumerate(np.array_split(slices, NUM_CHUNKS) if len(slices) else ()):
                members[number].append((case, int(chunk[len(chunk) // 2] if len(chunk) else slices[len(slices) // 2])))
        parts[value] = [
            (member, float(np.mean([z / max(1, len(stacks[case]) - 1) for case, z in member]))) for member in members
        ]
    return parts


def _picture_parts(masks: Sequence[Tensor]) -> _Parts:
    values = sorted({int(value) for mask in masks for value in np.unique(mask.numpy())} - {0, IGNORED})
    return {
        value: [([(case, 0) for case, mask in enumerate(masks) if (mask == value).any()], None)] for value in values
    }
