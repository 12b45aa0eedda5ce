# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Settings 1 and 2 of few-shot segmentation of volumes (Ouyang et al. 2020): what a training may see of test classes.

In setting 1 organs of the test classes may lie in the background of training slices, unlabelled. In setting 2 every
slice that shows one of them is left out of the training, so that the class is new to the network in every sense.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..items import Item, expand_items

__all__ = ["SETTINGS", "training_items"]

SETTINGS = (1, 2)


def training_items(items: Iterable[Item], test_classes: Iterable[str] | None, setting: int = 1) -> list[Item]:
    """The 2D items that a training may use.

    Args:
        items: volumes, which become slices, or 2D items.
        test_classes: classes that the training must not learn; None for none.
        setting: 1 keeps every slice; 2 leaves out those that show a test class.

    Returns:
        2D items. Under both settings ``classes`` and ``areas`` lack the test classes, so that none is drawn.

    Raises:
        ValueError: when the setting is unknown, or nothing is left to train on.
    """
    if setting not in SETTINGS:
        raise ValueError(f"setting is 1 or 2, not {setting!r}")
    held_out = set(test_classes or ())
    slices = expand_items(items)
    kept = slices if setting == 1 else [item for item in slices if not held_out & set(item["classes"])]
    kept = [_without(item, held_out) for item in kept]
    if not any(item["classes"] for item in kept):
        raise ValueError(
            f"setting {setting} leaves no labelled image to train on: {len(kept)} of {len(slices)} remain without "
            f"{', '.join(sorted(held_out)) or 'anything held out'}"
        )
    return kept


def _without(item: Item, held_out: set[str]) -> Item:
    parts = {
        key: {name: value for name, value in item[key].items() if name not in held_out} for key in ("classes", "areas")
    }
    return {**item, **parts}
