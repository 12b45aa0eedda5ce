# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Episodes for training: a query and K supports of one class, drawn above a cache of loaded images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

import torch
import torch.distributed
from monai.transforms.compose import Compose
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from ...labels import class_label, resize_label, stack_labels
from ..item_cache import ItemCache
from ..items import expand_items, item_id
from .sampling import ClassIndex

__all__ = ["ID_SEPARATOR", "EpisodeDataset", "EpisodeSampler", "TextTable", "as_compose", "float_image", "stack_images"]

ID_SEPARATOR = ";"
Image = Tensor | dict[str, Tensor]


class TextTable(Protocol):
    """Maps a class name to its text embedding (T, D)."""

    def __getitem__(self, class_name: str) -> Tensor: ...


class EpisodeDataset(Dataset[dict[str, Any]]):
    """Episode n is a function of (seed, n) alone, whatever the number of workers and processes.

    An element is ``image`` (3, S, S) or ``{level: (C, h, w)}``, ``label`` (1, L, L) with 0, 1 and 255 = ignored,
    ``support_image`` (K, 3, S, S) or ``{level: (K, C, h, w)}``, ``support_label`` (K, 1, L, L), ``class_name``,
    ``case_id`` (the query), ``support_ids`` (joined by ``;``) and, with a text table, ``text_embedding`` (T, D). A
    support is never of the query's case.

    Args:
        data: datalist; volumes are expanded into slices, and bare ``{image, label}`` pairs are described from their
            labels (each value above 0 is a class).
        transform: dictionary transforms of a single item, that leave ``image`` and ``label`` (1, H, W) of values. Those
            before the first random one run once per item and are cached.
        num_shots: K.
        episodes_per_epoch: length of the dataset.
        seed: of the episodes.
        classes: classes to draw; None for all in the data.
        min_area: least fraction of the image that the class must cover.
        text_table: class name -> (T, D).
        label_size: L; None keeps the masks' own size, which a batch of several episodes can't hold.
        cache_rate: share of the items kept in memory.
        num_workers: threads that fill the cache.
        progress: show a bar meanwhile.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Sequence[Callable[..., Any]] | Callable[..., Any],
        *,
        num_shots: int = 1,
        episodes_per_epoch: int = 1000,
        seed: int = 0,
        classes: Iterable[str] | None = None,
        min_area: float = 0.0,
        text_table: TextTable | None = None,
        label_size: int | None = None,
        cache_rate: float = 1.0,
        num_workers: int = 1,
        progress: bool = True,
    ) -> None:
        if episodes_per_epoch < 1:
            raise ValueError(f"episodes_per_epoch must be at least 1, got {episodes_per_epoch}")
        items = expand_items(data)
        index = ClassIndex(items, classes, min_area, num_shots)
        drawn = set(index.classes)
        self.items = [item for item in items if drawn & set(item["classes"])]  # the others would only fill the cache
        self.index = ClassIndex(self.items, index.classes, min_area, num_shots)
        self.num_shots = num_shots
        self.episodes_per_epoch = episodes_per_epoch
        self.seed = seed
        self.text_table = text_table
        self.label_size = label_size
        self.images = ItemCache(
            self.items, as_compose(transform), cache_rate=cache_rate, num_workers=num_workers, progress=progress
        )

    def __len__(self) -> int:
        """Episodes in an epoch; higher numbers than this are episodes of later epochs."""
        return self.episodes_per_epoch

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Episode of this absolute number."""
        draw = self.index.draw(self.seed, number)
        query = self.images[draw.query]
        support = [self.images[position] for position in draw.support]
        values = self.index.values[draw.class_name]
        labels = [self._label(item, draw.class_name, values) for item in (query, *support)]
        episode = {
            "image": float_image(query["image"]),
            "label": labels[0],
            "support_image": stack_images([item["image"] for item in support]),
            "support_label": stack_labels(labels[1:]),
            "class_name": draw.class_name,
            "case_id": item_id(query),
            "support_ids": ID_SEPARATOR.join(item_id(item) for item in support),
        }
        if self.text_table is not None:
            episode["text_embedding"] = self.text_table[draw.class_name]
        return episode

    def _label(self, item: Mapping[str, Any], class_name: str, values: Sequence[int]) -> Tensor:
        label = class_label(item, torch.as_tensor(item["label"]), class_name, values)
        return label if self.label_size is None else resize_label(label, (self.label_size, self.label_size))


class EpisodeSampler(DistributedSampler[int]):
    """Hands out absolute episode numbers: epoch * episodes_per_epoch + i, every n-th of them to each of n processes.

    It is a DistributedSampler so that MONAI's trainers call ``set_epoch``; it needs no process group. Resuming at an
    epoch goes on with that epoch's episodes.

    Args:
        dataset: an EpisodeDataset.
        num_replicas: processes; None asks torch.distributed, 1 where it isn't running.
        rank: number of this process; None asks torch.distributed.
    """

    def __init__(self, dataset: EpisodeDataset, num_replicas: int | None = None, rank: int | None = None) -> None:
        running = torch.distributed.is_available() and torch.distributed.is_initialized()
        if num_replicas is None:
            num_replicas = torch.distributed.get_world_size() if running else 1
        if rank is None:
            rank = torch.distributed.get_rank() if running else 0
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=False)

    def __iter__(self) -> Iterator[int]:
        """Numbers of this process in the current epoch."""
        first = self.epoch * len(self.dataset)  # type: ignore[arg-type]
        return (first + number for number in super().__iter__())


def as_compose(transform: Sequence[Callable[..., Any]] | Callable[..., Any]) -> Compose:
    """Accept one transform, a list of them or a Compose."""
    if isinstance(transform, Compose):
        return transform
    return Compose([transform] if callable(transform) else list(transform))


def float_image(image: Image) -> Image:
    """An image, or cached half precision features, in float32."""
    if isinstance(image, Mapping):
        return {level: maps.float() for level, maps in image.items()}
    return torch.as_tensor(image).float()


def stack_images(images: Sequence[Image]) -> Image:
    """Stack images, or feature dictionaries level by level, along a new first axis, in float32."""
    if isinstance(images[0], Mapping):
        features = cast(Sequence[dict[str, Tensor]], images)
        return {level: torch.stack([maps[level] for maps in features]).float() for level in features[0]}
    return torch.stack([torch.as_tensor(image) for image in images]).float()
