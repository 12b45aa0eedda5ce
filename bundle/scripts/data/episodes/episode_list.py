# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The fixed list of evaluation tasks, as a JSON file with a content hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...files.atomic import write_text
from ...files.read_json import read_json
from ..items import Item, expand_items, item_id
from .protocols import PROTOCOLS, ProtocolOptions, Task

__all__ = ["EpisodeList", "load_episode_list", "make_episode_list"]

_FIELDS = ("dataset", "protocol", "num_shots", "seed", "options", "tasks")


@dataclass(frozen=True)
class EpisodeList:
    """Tasks and how they came about; two methods are comparable when the hashes agree.

    Args:
        dataset: name of the data set.
        protocol: name in `PROTOCOLS`.
        num_shots: supports per task.
        seed: of drawn episodes.
        tasks: see `scripts.data.episodes.protocols`.
        options: further arguments that the tasks depend on.
    """

    dataset: str
    protocol: str
    num_shots: int
    seed: int
    tasks: list[Task]
    options: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of tasks."""
        return len(self.tasks)

    @property
    def sha256(self) -> str:
        """Hash of the content, independent of layout and order of keys."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def save(self, path: str | Path) -> Path:
        """Write the list with its hash, beside the name first and then in its place."""
        content = {**self._content(), "sha256": self.sha256}
        path = Path(path).expanduser()
        return write_text(path, json.dumps(content, indent=1) + "\n")

    def check_ids(self, datalist: Sequence[Item]) -> None:
        """Raise a ValueError when a task names an item that the datalist lacks."""
        known = {item_id(item) for item in expand_items(datalist)} | {str(item["case_id"]) for item in datalist}
        for number, task in enumerate(self.tasks):
            named = [*task.get("query", ()), *task.get("support", ()), str(task["case_id"])]
            missing = [name for name in named if name not in known]
            if missing:
                raise ValueError(
                    f"task {number} of the episode list for {self.dataset} names {', '.join(missing)}, which the data "
                    f"lack ({len(datalist)} items, the first is {item_id(datalist[0]) if datalist else None})"
                )

    def _content(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FIELDS}


def load_episode_list(path: str | Path) -> EpisodeList:
    """Read a list and verify its hash.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is no episode list, or was changed after it was written.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no episode list {path}")
    content = read_json(path)
    missing = [name for name in (*_FIELDS, "sha256") if not isinstance(content, dict) or name not in content]
    if missing:
        raise ValueError(f"{path} is not an episode list: it has no {', '.join(missing)}")
    episode_list = EpisodeList(**{name: content[name] for name in _FIELDS})
    if episode_list.sha256 != content["sha256"]:
        raise ValueError(
            f"{path} was changed: its content has the sha256 {episode_list.sha256}, it says {content['sha256']}"
        )
    return episode_list


def make_episode_list(
    datalist: Sequence[Item],
    dataset_name: str,
    protocol: str,
    *,
    num_shots: int = 1,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    num_episodes: int = 200,
    min_area: float = 0.0,
    support_case: str | int | Sequence[str | int] | None = None,
    annotated_slices: int = 1,
    annotate: str = "own",
    file: str | Path | None = None,
) -> EpisodeList:
    """Make the list of a protocol, or load it.

    Args:
        datalist: 2D items, or volumes.
        dataset_name: goes into the list.
        protocol: name in `PROTOCOLS`.
        num_shots: supports per task.
        seed: of drawn episodes.
        classes: classes to evaluate; None for all that occur.
        num_episodes: number of drawn episodes.
        min_area: least fraction of the image that the class covers in a drawn episode.
        support_case: see `ProtocolOptions`.
        annotated_slices: see `ProtocolOptions`.
        annotate: see `ProtocolOptions`.
        file: load this list; data set, protocol and shots must be those asked for, and its items must exist.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol {protocol!r} is unknown; choose one of {', '.join(PROTOCOLS)}")
    if file is not None:
        episode_list = load_episode_list(file)
        for name, wanted in (("dataset", dataset_name), ("protocol", protocol), ("num_shots", num_shots)):
            found = getattr(episode_list, name)
            if found != wanted:
                raise ValueError(f"{file} was made for {name} {found!r}, this evaluation asks for {wanted!r}")
        episode_list.check_ids(datalist)
        return episode_list
    chosen = None if classes is None else tuple(classes)
    options = ProtocolOptions(num_shots, seed, chosen, num_episodes, min_area, support_case, annotated_slices, annotate)
    tasks = PROTOCOLS[protocol](datalist, options)
    if not tasks:
        raise ValueError(
            f"protocol {protocol!r} gives no task on {dataset_name}: {len(datalist)} items, classes {chosen}"
        )
    relevant = {"annotated_slices": annotated_slices, "annotate": annotate} if protocol == "propagation" else {}
    return EpisodeList(dataset_name, protocol, num_shots, seed, tasks, relevant)
