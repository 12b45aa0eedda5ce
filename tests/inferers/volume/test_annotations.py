# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""History and joining of annotations."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.inferers.volume import annotations as module
from scripts.inferers.volume.annotations import Annotations, Entry, check_label


def entry(index: int, *values: int, replace: bool = False) -> Entry:
    return Entry(index, np.array([values], np.uint16), replace)


def test_labels_of_one_slice_join_and_part_again() -> None:
    annotations = Annotations()
    annotations.add(entry(3, 1, 0, 0, 255))
    annotations.add(entry(3, 0, 0, 2, 2))
    assert annotations.by_slice()[3].label.tolist() == [[1, 0, 2, 2]]
    assert annotations.values == (1, 2)
    assert annotations.undo() == 3
    assert annotations.by_slice()[3].label.tolist() == [[1, 0, 0, 0]]
    assert annotations.by_slice()[3].known.tolist() == [[True, True, True, False]]
    annotations.add(entry(3, 5, 0, 0, 0, replace=True))
    annotations.undo()
    assert annotations.values == (1,)


def test_a_contradiction_leaves_everything_as_it_was() -> None:
    annotations = Annotations()
    annotations.add(entry(3, 1, 1, 0))
    with pytest.raises(ValueError, match=r"slice 3 contradict each other at 1 pixels .*row 0, column 1: 1 and 0"):
        annotations.add(entry(3, 1, 0, 0))
    assert len(annotations.history) == 1
    assert annotations.by_slice()[3].label.tolist() == [[1, 1, 0]]


def test_annotating_touches_its_own_slice_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the work grows with the number of annotations, not with its square."""
    split = []
    original = module.SliceAnnotation.from_label_map
    monkeypatch.setattr(
        module.SliceAnnotation, "from_label_map", lambda label: split.append(1) or original(label), raising=True
    )
    annotations = Annotations()
    for index in range(20):
        annotations.add(entry(index, 1, 0))
    annotations.by_slice()
    assert len(split) == 20
    annotations.add(entry(7, 0, 2))
    annotations.by_slice()
    assert len(split) == 21


def test_values_are_checked() -> None:
    assert check_label([[1.0, 255.0]], 4, (1, 2)).tolist() == [[1, 255]]
    with pytest.raises(ValueError, match="annotation of slice 4 says nothing"):
        check_label([[255, 255]], 4, (1, 2))
    with pytest.raises(ValueError, match=r"slice 4 has the value 0\.5"):
        check_label([[0.5, 1]], 4, (1, 2))
    with pytest.raises(ValueError, match="annotation_complete must be one of"):
        Annotations("some")
