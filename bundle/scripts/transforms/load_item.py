# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Load the image and the label of a datalist item: a picture with its mask, or a slice of a volume."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection
from monai.transforms.compose import Compose
from monai.transforms.transform import MapTransform
from torch import Tensor

from ..data.picture_reader import IndexReader, PictureReader
from .load_volume import volume_slice

__all__ = ["LoadItemd", "load_picture", "load_picture_label"]


class LoadItemd(MapTransform):
    """Read the entries of an item: image (3, H, W) float32 in [0, 1], label (1, H, W) uint8, at their own size.

    An item with an entry ``slice`` is cut out of a volume, which is loaded and scaled once for all of its slices (the
    last few volumes are kept; an entry ``series_uid`` chooses among the series of its folder); any other item is a
    picture.

    Args:
        keys: the image's key, and the label's.
        volume_transforms: load and scale a whole volume: dictionary transforms that leave (1, X, Y, Z) at the same
            keys, in the canonical orientation.
        volumes_kept: number of volumes that stay in memory.
        allow_missing_keys: see MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection = ("image", "label"),
        volume_transforms: Sequence[Callable[..., Any]] = (),
        volumes_kept: int = 2,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if volumes_kept < 1:
            raise ValueError(f"volumes_kept must be at least 1, got {volumes_kept}")
        self.volume_transforms = Compose(list(volume_transforms))
        self.volumes_kept = volumes_kept
        self._volumes: OrderedDict[tuple[tuple[str, str], ...], dict[Hashable, Tensor]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the paths by tensors."""
        result = dict(data)
        if "slice" in result:
            volume = self._volume(result)
            for key in self.key_iterator(result):
                plane = volume_slice(volume[key], int(result["slice"]))
                result[key] = plane.expand(3, -1, -1).contiguous() if key == self.keys[0] else plane
            return result
        for key in self.key_iterator(result):
            path = result[key]
            result[key] = load_picture(path) if key == self.keys[0] else load_picture_label(path)
        sizes = {key: tuple(result[key].shape[1:]) for key in self.key_iterator(result)}
        if len(set(sizes.values())) > 1:
            named = ", ".join(f"{data[key]} has {height} x {width}" for key, (height, width) in sizes.items())
            raise ValueError(f"image and label must have the same size (rows x columns): {named}")
        return result

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lock and the volumes behind when a worker process gets a copy."""
        return {**self.__dict__, "_volumes": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a lock of this process."""
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def _volume(self, item: Mapping[Hashable, Any]) -> dict[Hashable, Tensor]:
        paths = {key: item[key] for key in self.key_iterator(dict(item))}
        if "series_uid" in item:
            paths["series_uid"] = item["series_uid"]
        identity = tuple(sorted((str(key), str(path)) for key, path in paths.items()))
        with self._lock:
            if identity in self._volumes:
                self._volumes.move_to_end(identity)
                return self._volumes[identity]
            if not self.volume_transforms.transforms:
                raise ValueError(f"{item[self.keys[0]]} is a volume, but LoadItemd has no volume_transforms")
            volume = self.volume_transforms(paths)
            self._volumes[identity] = {key: volume[key] for key in self.key_iterator(volume)}
            while len(self._volumes) > self.volumes_kept:
                self._volumes.popitem(last=False)
            return self._volumes[identity]


def load_picture(path: str) -> Tensor:
    """Read a picture as (3, H, W) float32 in [0, 1]."""
    reader = PictureReader()
    array, _ = reader.get_data(reader.read(path))
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))


def load_picture_label(path: str) -> Tensor:
    """Read a mask of indices as (1, H, W) uint8."""
    reader = IndexReader()
    array, _ = reader.get_data(reader.read(path))
    return torch.from_numpy(array)[None]
