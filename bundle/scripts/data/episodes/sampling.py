# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Which images make up an episode: balanced over classes, and a function of (seed, number) alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ..items import Item

__all__ = ["ClassIndex", "Draw"]

_CLASS_STREAM, _IMAGE_STREAM = 0, 1


class Draw(NamedTuple):
    """One episode as positions in the datalist."""

    class_name: str
    query: int
    support: list[int]


class ClassIndex:
    """Where each class occurs, case by case.

    Args:
        items: 2D items (pictures or slices).
        classes: the classes to draw; None for all that occur.
        min_area: least fraction of the image that the class must cover, in the query and in every support.
        num_shots: supports in an episode.

    Raises:
        ValueError: when a class has fewer cases than an episode needs.
    """

    def __init__(
        self, items: Sequence[Item], classes: Iterable[str] | None = None, min_area: float = 0.0, num_shots: int = 1
    ) -> None:
        if not items:
            raise ValueError("the datalist is empty: there is nothing to draw episodes from")
        if num_shots < 1:
            raise ValueError(f"num_shots must be at least 1, got {num_shots}")
        self.num_shots = num_shots
        present = sorted({name for item in items for name in item["classes"]})
        self.classes = present if classes is None else list(classes)
        if not self.classes:
            raise ValueError("no item of the datalist shows any class: all masks are empty")
        self.values = {name: item["classes"][name] for item in items for name in item["classes"]}
        self._cases: dict[str, list[list[int]]] = {}
        for name in self.classes:
            cases: dict[str, list[int]] = {}
            for position, item in enumerate(items):
                if item["areas"].get(name, 0.0) > 0 and item["areas"][name] >= min_area:
                    cases.setdefault(item["case_id"], []).append(position)
            self._check(name, len(cases), present, min_area)
            self._cases[name] = [positions for _, positions in sorted(cases.items())]

    def draw(self, seed: int, number: int) -> Draw:
        """Draw an episode.

        Classes come in shuffled rounds, so that every run of ``len(classes)`` episodes (counted from a multiple of
        that) holds each class once. Within the class the query's case and the supports' cases are drawn without
        replacement,
        then one item of each case: a case with many slices, or with a flipped copy, is not drawn more often.

        Args:
            seed: of the whole run.
            number: absolute number of the episode.
        """
        rounds, place = divmod(number, len(self.classes))
        order = np.random.default_rng([seed, _CLASS_STREAM, rounds]).permutation(len(self.classes))
        class_name = self.classes[order[place]]
        cases = self._cases[class_name]
        generator = np.random.default_rng([seed, _IMAGE_STREAM, number])
        chosen = generator.choice(len(cases), size=1 + self.num_shots, replace=False)
        query, *support = (cases[case][generator.integers(len(cases[case]))] for case in chosen)
        return Draw(class_name, query, support)

    def _check(self, name: str, num_cases: int, present: Sequence[str], min_area: float) -> None:
        if num_cases > self.num_shots:
            return
        limit = f" in which it covers at least {min_area:.2%} of the image" if min_area > 0 else ""
        raise ValueError(
            f"class {name!r} occurs in {num_cases} case(s){limit}; an episode of {self.num_shots} shot(s) needs "
            f"{self.num_shots + 1} different ones. Leave it out of the classes, or add images. "
            f"Classes in this datalist: {', '.join(present) or 'none'}"
        )
