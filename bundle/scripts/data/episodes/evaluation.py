# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Datasets whose elements are the tasks of an episode list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...labels import NOT_ANNOTATED, class_label, stack_labels
from ..item_cache import ItemCache
from ..items import Item, expand_items, item_id
from .dataset import ID_SEPARATOR, TextTable, as_compose, stack_images
from .episode_list import EpisodeList

__all__ = ["NOT_ANNOTATED", "EvaluationDataset", "PropagationDataset", "evaluation_dataset"]


class EvaluationDataset(Dataset[dict[str, Any]]):
    """One task an element: queries that share a support set.

    An element is ``image`` (N, 3, S, S) or ``{level: (N, C, h, w)}``, ``label`` (N, 1, H, W) with 0, 1 and 255 =
    ignored, at the original size, ``support_image`` (K, 3, S, S) or ``{level: (K, C, h, w)}``, ``support_label`` (K,
    1, H, W) (supports of different sizes: brought to the largest), ``class_name``, ``case_id``, ``query_ids`` and
    ``support_ids`` (joined by ``;``) and, with a text table, ``text_embedding`` (T, D).

    Args:
        episode_list: tasks of a 2D protocol.
        datalist: items that the tasks name; volumes are expanded.
        transform: as for `EpisodeDataset`; each item that a task needs is loaded once.
        text_table: class name -> (T, D).
        cache_rate: share of the items kept in memory.
        num_workers: threads that fill the cache.
        progress: show a bar meanwhile.
    """

    def __init__(
        self,
        episode_list: EpisodeList,
        datalist: Sequence[Item],
        transform: Sequence[Callable[..., Any]] | Callable[..., Any],
        *,
        text_table: TextTable | None = None,
        cache_rate: float = 1.0,
        num_workers: int = 1,
        progress: bool = True,
    ) -> None:
        episode_list.check_ids(datalist)
        self.episode_list = episode_list
        self.text_table = text_table
        used = {name for task in episode_list.tasks for name in (*task["query"], *task["support"])}
        items = [item for item in expand_items(datalist) if item_id(item) in used and not item.get("flip", False)]
        self._positions = {item_id(item): position for position, item in enumerate(items)}
        self._values = {name: item["classes"][name] for item in items for name in item["classes"]}
        self.images = ItemCache(
            items, as_compose(transform), cache_rate=cache_rate, num_workers=num_workers, progress=progress
        )

    def __len__(self) -> int:
        """Number of tasks."""
        return len(self.episode_list)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """The task of this number."""
        task = self.episode_list.tasks[number]
        query = [self.images[self._positions[name]] for name in task["query"]]
        support = [self.images[self._positions[name]] for name in task["support"]]
        element = {
            "image": stack_images([item["image"] for item in query]),
            "label": stack_labels([self._label(item, task["class_name"]) for item in query]),
            "support_image": stack_images([item["image"] for item in support]),
            "support_label": stack_labels([self._label(item, task["class_name"]) for item in support]),
            "class_name": task["class_name"],
            "case_id": task["case_id"],
            "query_ids": ID_SEPARATOR.join(task["query"]),
            "support_ids": ID_SEPARATOR.join(task["support"]),
        }
        if self.text_table is not None:
            element["text_embedding"] = self.text_table[task["class_name"]]
        return element

    def _label(self, item: Mapping[str, Any], class_name: str) -> Tensor:
        return class_label(item, torch.as_tensor(item["label"]), class_name, self._values[class_name])


class PropagationDataset(Dataset[dict[str, Any]]):
    """One volume an element, with the slices that are annotated.

    An element is ``image`` (1, X, Y, Z) float32 in [0, 1] in the canonical orientation, ``label`` (1, X, Y, Z) uint8
    with the values of ``label_names`` {class: value}, ``annotation`` (1, X, Y, Z) uint8 with the same values on
    annotated slices and 255 on all others, ``annotated_slices`` {class: [slices]}, ``case_id``, ``spacing`` (3,) in mm
    and ``affine`` (4, 4).

    Args:
        episode_list: tasks of the protocol ``propagation``.
        datalist: volumes.
        volume_transforms: load and scale a volume, see `scripts.transforms.LoadItemd`.
    """

    def __init__(
        self,
        episode_list: EpisodeList,
        datalist: Sequence[Item],
        volume_transforms: Sequence[Callable[..., Any]] | Callable[..., Any],
    ) -> None:
        episode_list.check_ids(datalist)
        self.episode_list = episode_list
        self._volumes = {item["case_id"]: item for item in datalist}
        self._transform = as_compose(volume_transforms)

    def __len__(self) -> int:
        """Number of volumes."""
        return len(self.episode_list)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """The volume of this task."""
        task = self.episode_list.tasks[number]
        item = self._volumes[task["case_id"]]
        volume = self._transform({key: item[key] for key in ("image", "label", "series_uid") if key in item})
        label_names = {name: value for value, name in enumerate(task["class_names"], start=1)}
        table = torch.zeros(256, dtype=torch.uint8)
        for name, value in label_names.items():
            table[item["classes"][name]] = value
        label = table[volume["label"].as_tensor().long()]
        affine = volume["image"].affine.to(torch.float64)
        return {
            "image": volume["image"].as_tensor(),
            "label": label,
            "annotation": self._annotation(label, task["annotated_slices"], label_names),
            "annotated_slices": task["annotated_slices"],
            "label_names": label_names,
            "case_id": task["case_id"],
            "spacing": affine[:3, :3].norm(dim=0),
            "affine": affine,
        }

    def _annotation(self, label: Tensor, slices: Mapping[str, Sequence[int]], label_names: Mapping[str, int]) -> Tensor:
        annotation = torch.full_like(label, NOT_ANNOTATED)
        for z in {z for chosen in slices.values() for z in chosen}:
            if self.episode_list.options["annotate"] != "own":
                annotation[..., z] = label[..., z]
                continue
            own = [label_names[name] for name, chosen in slices.items() if z in chosen]
            annotation[..., z] = torch.where(torch.isin(label[..., z], torch.tensor(own)), label[..., z], 0)
        return annotation


def evaluation_dataset(
    episode_list: EpisodeList,
    datalist: Sequence[Item],
    transform: Sequence[Callable[..., Any]] | Callable[..., Any],
    volume_transforms: Sequence[Callable[..., Any]] | Callable[..., Any] = (),
    *,
    text_table: TextTable | None = None,
    cache_rate: float = 1.0,
    num_workers: int = 1,
    progress: bool = True,
) -> EvaluationDataset | PropagationDataset:
    """The dataset that serves the list's protocol; arguments as for the two classes."""
    if episode_list.protocol == "propagation":
        return PropagationDataset(episode_list, datalist, volume_transforms)
    return EvaluationDataset(
        episode_list,
        datalist,
        transform,
        text_table=text_table,
        cache_rate=cache_rate,
        num_workers=num_workers,
        progress=progress,
    )
