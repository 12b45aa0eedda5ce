# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Entries of the lists that span a comparison: what they may be, and what they are called in folders and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...apps.startup.assembly import CONFIGS, Target, find_overlay

__all__ = ["label_overlays", "label_targets", "refuse_bad_numbers", "refuse_bad_strings"]


def refuse_bad_strings(key: str, values: Any) -> None:
    """Refuse what isn't a list of different strings.

    Raises:
        ValueError: naming the key, what was found and what was expected.
    """
    _refuse_no_list(key, values)
    for value in values:
        if not isinstance(value, str) or not value:
            raise ValueError(f"{key} has the entry {value!r}, expected names (strings), in {values!r}")
    _refuse_repeats(key, values)


def refuse_bad_numbers(key: str, values: Any, *, smallest: int) -> None:
    """Refuse what isn't a list of different whole numbers.

    Raises:
        ValueError: naming the key, what was found and what was expected.
    """
    _refuse_no_list(key, values)
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or value < smallest:
            raise ValueError(f"{key} has the entry {value!r}, expected whole numbers from {smallest} on, in {values!r}")
    _refuse_repeats(key, values)


def label_targets(found: Mapping[str, Target]) -> dict[str, str]:
    """Name of every target as given -> what it is called: its overlay, or its folder where two share the overlay.

    Raises:
        ValueError: for two names of the same data set.
    """
    _refuse_same("targets", {name: target.dataset_dir.resolve() for name, target in found.items()})
    overlays = [target.overlay for target in found.values()]
    return {
        name: target.overlay if overlays.count(target.overlay) == 1 else target.dataset_dir.name
        for name, target in found.items()
    }


def label_overlays(kind: str, names: Sequence[str]) -> dict[str, str]:
    """Name of every overlay as it was given -> what it is called.

    That is the name, or that of the file. Where two would be called the same, or a file of one's own ``off``, the
    folder comes before: ``mine_matching`` for ``mine/matching.json``.

    Raises:
        ValueError: for the same overlay twice, or two that can't be told apart.
    """
    files = {name: find_overlay(kind, name).resolve() for name in names}
    _refuse_same(kind, files)
    stems = [file.stem for file in files.values()]
    labels: dict[str, str] = {}
    for name, file in files.items():
        is_own = file.parent != CONFIGS / kind
        is_taken = stems.count(file.stem) > 1 or file.stem == "off"
        label = f"{file.parent.name}_{file.stem}" if is_own and is_taken else file.stem
        other = next((each for each, taken in labels.items() if taken == label), None)
        if other is not None:
            raise ValueError(f"{kind} {other!r} and {name!r} would both be called {label!r}; rename one of the files")
        labels[name] = label
    return labels


def _refuse_no_list(key: str, values: Any) -> None:
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(f"{key} must be a list with at least one entry, got {values!r}")


def _refuse_repeats(key: str, values: Sequence[Any]) -> None:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"{key} has {value!r} and {value!r}, in {values!r}: the same twice, leave one out")


def _refuse_same(key: str, files: Mapping[str, Path]) -> None:
    seen: dict[Path, str] = {}
    for name, file in files.items():
        if file in seen:
            raise ValueError(f"{key} {seen[file]!r} and {name!r} are both {file}: leave one out")
        seen[file] = name
