# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Evaluation protocols: from a datalist to the fixed list of tasks that every method is measured on.

A task of a 2D protocol is ``{"class_name", "case_id", "query": [item ids], "support": [item ids]}``: all its queries
share the support. Several tasks may belong to one case and class (the chunks of a volume); their counts are pooled
before a score is computed. A task of `propagation` is ``{"case_id", "class_names", "annotated_slices": {class:
[slices]}}``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...files.natural_order import natural_key
from ..items import Item, expand_items, item_id
from .sampling import ClassIndex

__all__ = [
    "ANNOTATE",
    "PROTOCOLS",
    "ProtocolOptions",
    "all_slices",
    "annotation_slices",
    "episodes",
    "labelled_chunks",
    "propagation",
    "sequential_episodes",
    "support_slices",
]

Task = dict[str, Any]

NUM_CHUNKS = 3
ANNOTATE = ("own", "all", "joint")
OUTER_POSITIONS = (0.2, 0.8)
# The second set of WBC holds a tenth of the images, so it gives a tenth of the episodes.
_SMALL_GROUPS = {("dataset1", "dataset2"): ("dataset2", 10)}


@dataclass(frozen=True)
class ProtocolOptions:
    """What a protocol may depend on beside the datalist.

    Args:
        num_shots: supports per task.
        seed: of drawn episodes.
        classes: classes to evaluate; None for all that occur.
        num_episodes: number of drawn episodes.
        min_area: least fraction of the image that the class covers in a drawn episode.
        support_case: a case id or several: the first `num_shots` of them support, none of them is a query. None takes
            the first `num_shots` cases. Give the same cases for every K to compare K on the same queries.
        annotated_slices: 1 or 3 per class and volume.
        annotate: ``own`` (an annotated slice shows the classes it was chosen for), ``all`` (every class in it), or
            ``joint`` (slices are chosen once for all classes together, and show every class).
    """

    num_shots: int = 1
    seed: int = 0
    classes: Sequence[str] | None = None
    num_episodes: int = 200
    min_area: float = 0.0
    support_case: str | int | Sequence[str | int] | None = None
    annotated_slices: int = 1
    annotate: str = "own"


def episodes(datalist: Sequence[Item], options: ProtocolOptions) -> list[Task]:
    """Class-balanced episodes with one query each, drawn like the training episodes."""
    if options.num_episodes < 1:
        raise ValueError(f"num_episodes must be at least 1, got {options.num_episodes}")
    items = expand_items(datalist)
    index = ClassIndex(items, options.classes, options.min_area, options.num_shots)
    draws = [index.draw(options.seed, number) for number in range(options.num_episodes)]
    return [
        _task(draw.class_name, items[draw.query], [item_id(items[position]) for position in draw.support])
        for draw in draws
    ]


def sequential_episodes(datalist: Sequence[Item], options: ProtocolOptions) -> list[Task]:
    """Episodes from one stream of Python's ``random``: the lists that the design experiments were measured on.

    Groups of images (``group`` of the item: a diagnosis, a scanner) take turns; query and supports are of one group,
    and every class that the query can show becomes a task, with those supports that show it (none: no task).
    """
    items = expand_items(datalist)
    stream = random.Random(options.seed)
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.get("group", ""), []).append(item)
    tasks = []
    for number in range(options.num_episodes):
        group = groups[_group_of(number, tuple(sorted(groups)))]
        if len(group) <= options.num_shots:
            raise ValueError(f"a group of {len(group)} image(s) is too small for {options.num_shots} shot(s)")
        query = stream.choice(group)
        support = stream.sample([item for item in group if item is not query], options.num_shots)
        for name in options.classes or sorted(query["classes"]):
            showing = [item_id(item) for item in support if name in item["classes"]]
            if showing and name in query["classes"]:
                tasks.append(_task(name, query, showing))
    return tasks


def labelled_chunks(datalist: Sequence[Item], options: ProtocolOptions) -> list[Task]:
    """The slices of a query volume that show the class, in three chunks, each with its support slices.

    Chunks are thirds of the class's extent from the feet up; the support of a chunk is the middle slice of the same
    chunk of each support case.
    """
    volumes, support, queries = _split_cases(datalist, options)
    tasks = []
    for name in _classes(volumes, options):
        supports = [support_slices(case, name) for case in support]
        for query in queries:
            for chunk, slices in enumerate(np.array_split(_labelled(query, name), NUM_CHUNKS)):
                if len(slices):
                    tasks.append(_chunk_task(name, query, slices.tolist(), support, [own[chunk] for own in supports]))
    return tasks


def all_slices(datalist: Sequence[Item], options: ProtocolOptions) -> list[Task]:
    """Every slice of a query volume, also those without the class; nothing about the query's label is used.

    The supports are the same three slices per support case as under `labelled_chunks`. A query slice takes those whose
    relative position in their stack is nearest to its own (averaged over the support cases). Volumes that don't show
    the
    class at all are left out: their Dice is undefined.
    """
    volumes, support, queries = _split_cases(datalist, options)
    tasks = []
    for name in _classes(volumes, options):
        supports = [support_slices(case, name) for case in support]
        relative = [[_relative(z, case) for z in own] for own, case in zip(supports, support, strict=True)]
        positions = np.mean(relative, axis=0)
        for query in queries:
            if not len(_labelled(query, name)):
                continue
            own_positions = np.array([_relative(z, query) for z in range(query["num_slices"])])
            nearest = np.abs(own_positions[:, None] - positions[None]).argmin(1)
            for chunk in range(NUM_CHUNKS):
                slices = np.flatnonzero(nearest == chunk).tolist()
                if slices:
                    tasks.append(_chunk_task(name, query, slices, support, [own[chunk] for own in supports]))
    return tasks


def propagation(datalist: Sequence[Item], options: ProtocolOptions) -> list[Task]:
    """Each volume by itself: one or three slices per class are annotated, the rest is to be found."""
    if options.annotate not in ANNOTATE:
        raise ValueError(f"annotate is one of {', '.join(ANNOTATE)}, not {options.annotate!r}")
    volumes = _volumes(datalist, "propagation")
    tasks = []
    for volume in volumes:
        names = [name for name in _classes(volumes, options) if len(_labelled(volume, name))]
        if names:
            chosen = _annotated(volume, names, options)
            tasks.append({"case_id": volume["case_id"], "class_names": names, "annotated_slices": chosen})
    return tasks


PROTOCOLS: dict[str, Callable[[Sequence[Item], ProtocolOptions], list[Task]]] = {
    "episodes": episodes,
    "sequential_episodes": sequential_episodes,
    "labelled_chunks": labelled_chunks,
    "all_slices": all_slices,
    "propagation": propagation,
}


def support_slices(volume: Item, class_name: str) -> list[int]:
    """The middle slice of each third of the class's extent; the middle of the whole where a third is empty."""
    labelled = _labelled(volume, class_name)
    if not len(labelled):
        has = ", ".join(volume["classes"]) or "none"
        raise ValueError(f"no support slice of class {class_name!r} in case {volume['case_id']} (has: {has})")
    chunks = np.array_split(labelled, NUM_CHUNKS)
    return [int(chunk[len(chunk) // 2] if len(chunk) else labelled[len(labelled) // 2]) for chunk in chunks]


def annotation_slices(areas: Sequence[float] | np.ndarray, number: int) -> list[int]:
    """Slices to annotate, from the area on every slice: the largest; for three also those at 20 % and 80 % of the
    extent.
    """
    if number not in (1, 3):
        raise ValueError(f"annotated_slices is 1 or 3, not {number}")
    labelled = np.flatnonzero(np.asarray(areas) > 0)
    chosen = {int(np.argmax(areas))}
    if number == 3:
        wanted = (round(labelled[0] + part * (labelled[-1] - labelled[0])) for part in OUTER_POSITIONS)
        chosen |= {int(labelled[np.abs(labelled - z).argmin()]) for z in wanted}
    return sorted(chosen)


def _annotated(volume: Item, names: Sequence[str], options: ProtocolOptions) -> dict[str, list[int]]:
    areas = {name: np.asarray(volume["slice_areas"][name]) for name in names}
    if options.annotate == "joint":
        areas = dict.fromkeys(names, np.sum(list(areas.values()), axis=0))
    return {name: annotation_slices(area, options.annotated_slices) for name, area in areas.items()}


def _labelled(volume: Item, class_name: str) -> np.ndarray:
    return np.flatnonzero(np.asarray(volume["slice_areas"].get(class_name, ())) > 0)


def _relative(z: int, volume: Item) -> float:
    return (z + 0.5) / int(volume["num_slices"])


def _group_of(number: int, groups: tuple[str, ...]) -> str:
    if groups in _SMALL_GROUPS:
        small, period = _SMALL_GROUPS[groups]
        return small if number % period == 0 else next(name for name in groups if name != small)
    return groups[number % len(groups)]


def _task(class_name: str, query: Item, support: list[str]) -> Task:
    return {"class_name": class_name, "case_id": query["case_id"], "query": [item_id(query)], "support": support}


def _chunk_task(
    class_name: str, query: Item, slices: Sequence[int], support: Sequence[Item], support_z: Sequence[int]
) -> Task:
    return {
        "class_name": class_name,
        "case_id": query["case_id"],
        "query": [f"{query['case_id']}:{z}" for z in slices],
        "support": [f"{case['case_id']}:{z}" for case, z in zip(support, support_z, strict=True)],
    }


def _volumes(datalist: Sequence[Item], protocol: str) -> list[Item]:
    flat = [item["case_id"] for item in datalist if "slice_areas" not in item]
    if flat or not datalist:
        found = f"{len(flat)} 2D items (the first is {flat[0]})" if flat else "an empty datalist"
        raise ValueError(f"protocol {protocol!r} needs volumes, got {found}; for 2D images use 'episodes'")
    return sorted(datalist, key=lambda volume: natural_key(volume["case_id"]))


def _classes(volumes: Sequence[Item], options: ProtocolOptions) -> list[str]:
    present = list(dict.fromkeys(name for volume in volumes for name in volume["classes"]))
    if options.classes is None:
        return present
    absent = [name for name in options.classes if name not in present]
    if absent:
        raise ValueError(f"no volume shows {', '.join(map(repr, absent))}; classes found: {', '.join(present)}")
    return list(options.classes)


def _split_cases(datalist: Sequence[Item], options: ProtocolOptions) -> tuple[list[Item], list[Item], list[Item]]:
    """All volumes, the support cases and the query cases."""
    volumes = _volumes(datalist, "labelled_chunks / all_slices")
    by_id = {volume["case_id"]: volume for volume in volumes}
    given = options.support_case
    if given is None:
        reserved = list(by_id)[: options.num_shots]
    else:
        reserved = [str(case) for case in ([given] if isinstance(given, (str, int)) else given)]
    absent = [case for case in reserved if case not in by_id]
    if absent:
        raise ValueError(f"support_case {', '.join(absent)} is not in the data; its cases are {', '.join(by_id)}")
    if len(reserved) < options.num_shots:
        raise ValueError(f"{options.num_shots} shots need as many support cases, got {len(reserved)}: {reserved}")
    queries = [volume for volume in volumes if volume["case_id"] not in reserved]
    if not queries:
        raise ValueError(f"all {len(volumes)} case(s) are support cases, none is left as a query")
    return volumes, [by_id[case] for case in reserved[: options.num_shots]], queries
