# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What is computed once per volume: backbone features of every slice, and images on the working grid.

Features stay at the resolution of the backbone in float16 (about 0.5 MiB per slice); the unit vectors on the common
grid that are compared are made per slice when they are asked for, and the latest are kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ....networks.protocols import FeatureSource
from .optical_flow import dense_flow

__all__ = ["FeatureFunction", "SliceStack", "extract_features", "unit_features"]

Value = TypeVar("Value")
FeatureFunction = Callable[[Tensor], Mapping[str, Tensor]]
"""Images (B, 3, S, S) in [0, 1] to ``{level: (B, C, h, w)}``."""


def extract_features(
    slices: Sequence[NDArray[Any]],
    segmenter: FeatureSource | FeatureFunction,
    levels: Sequence[str],
    image_size: int,
    *,
    batch_size: int = 2,
    device: torch.device | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Tensor]:
    """Run the backbone once over every slice.

    Args:
        slices: Z slices (H, W) with values in [0, 1].
        segmenter: gives the features; a bare backbone is called.
        levels: the levels to keep.
        image_size: side of the square that a slice is resized to (bilinear).
        batch_size: slices per pass.
        device: where the backbone runs; its own device if it is a module and this is None.
        progress: called with (slices done, slices in all).

    Returns:
        ``{level: (Z, C, h, w)}``, float16, on the CPU.
    """
    if device is None and isinstance(segmenter, torch.nn.Module):
        parameter = next(segmenter.parameters(), None)
        device = parameter.device if parameter is not None else None
    compute = segmenter.features if isinstance(segmenter, FeatureSource) else segmenter
    collected: dict[str, Tensor] = {}
    for start in range(0, len(slices), batch_size):
        batch = torch.stack(
            [
                torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
                for image in slices[start : start + batch_size]
            ]
        )
        batch = F.interpolate(batch[:, None], (image_size, image_size), mode="bilinear", align_corners=False)
        with torch.inference_mode():
            maps = compute(batch.expand(-1, 3, -1, -1).to(device or "cpu"))
        missing = [level for level in levels if level not in maps]
        if missing:
            raise ValueError(
                f"propagation matches the levels {', '.join(levels)}, but the host's network computes only "
                f"{', '.join(maps)}: take a host that has them, for example configs/hosts/matching.json"
            )
        for level in levels:
            part = maps[level].half().cpu()
            if level not in collected:
                collected[level] = torch.empty((len(slices), *part.shape[1:]), dtype=torch.float16)
            collected[level][start : start + len(part)] = part
        if progress is not None:
            progress(min(start + batch_size, len(slices)), len(slices))
    return collected


def unit_features(features: Tensor, grid: tuple[int, int]) -> Tensor:
    """Bring one level (C, h, w) to the common grid; a unit vector per cell, (C, cells), float32."""
    maps = F.interpolate(features[None].float(), grid, mode="bilinear", align_corners=False)
    return F.normalize(maps[0].flatten(1), dim=0)


class SliceStack:
    """Slices of one volume as the propagation sees them; whatever can be derived is derived when asked for.

    Args:
        images: (Z, h, w) on the working grid, values in [0, 1].
        features: ``{level: (Z, C, h', w')}`` of the same slices.
        grid_size: cells along the longer side of the grid on which features are compared; cells are square.
        kept_mib: memory for derived maps; the latest are kept.
    """

    def __init__(
        self, images: NDArray[np.float32], features: Mapping[str, Tensor], grid_size: int, *, kept_mib: int = 256
    ) -> None:
        self.images = images
        self.features = dict(features)
        self.grid_size = grid_size
        self.grid = _grid(self.shape, grid_size)
        self.indices: tuple[int, ...] = tuple(range(len(images)))
        self._kept = _Kept(kept_mib * 2**20)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def key(self) -> tuple[int, ...]:
        """The slices of the volume that this stack holds; with the volume it tells stacks apart."""
        return self.indices

    def subset(self, indices: Sequence[int]) -> SliceStack:
        """A stack of some of the slices that shares all images, features and derived maps with this one."""
        part = SliceStack(self.images, self.features, self.grid_size)
        part.indices = tuple(self.indices[index] for index in indices)
        part._kept = self._kept
        return part

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the working grid."""
        return self.images.shape[1], self.images.shape[2]

    def image(self, index: int) -> NDArray[np.float32]:
        """The slice's image (h, w)."""
        image: NDArray[np.float32] = self.images[self.indices[index]]
        return image

    def unit(self, index: int) -> dict[str, Tensor]:
        """Unit features of a slice, ``{level: (C, cells)}``."""
        row = self.indices[index]
        return self._derive(
            ("unit", row),
            lambda: {level: unit_features(maps[row], self.grid) for level, maps in self.features.items()},
        )

    def smooth(self, index: int, sigma: float) -> NDArray[np.float32]:
        """The slice's image (h, w) after a Gaussian of ``sigma`` pixels."""
        row = self.indices[index]
        return self._derive(("smooth", row, sigma), lambda: cv2.GaussianBlur(self.images[row], (0, 0), sigma))

    def flow(self, target: int, source: int) -> NDArray[np.float32]:
        """Optical flow (h, w, 2) from slice ``target`` to slice ``source``."""
        rows = self.indices[target], self.indices[source]
        return self._derive(("flow", *rows), lambda: dense_flow(self.images[rows[0]], self.images[rows[1]]))

    def _derive(self, key: Hashable, function: Callable[[], Value]) -> Value:
        return self._kept.recall(key, function)


def _grid(shape: tuple[int, int], grid_size: int) -> tuple[int, int]:
    rows, columns = (max(1, round(grid_size * size / max(shape))) for size in shape)
    return rows, columns


class _Kept:
    """The latest results of pure functions, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def recall(self, key: Hashable, function: Callable[[], Value]) -> Value:
        if key not in self._values:
            value: Any = function()
            parts = value.values() if isinstance(value, dict) else (value,)
            size = sum(int(part.nbytes) for part in parts)
            self._values[key] = (value, size)
            self._held += size
            while self._held > self._limit and len(self._values) > 1:
                self._held -= self._values.popitem(last=False)[1][1]
        self._values.move_to_end(key)
        found: Value = self._values[key][0]
        return found
