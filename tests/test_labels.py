# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from scripts import labels, metrics
from scripts.data.episodes import evaluation
from scripts.inferers import propagation
from scripts.labels import (
    IGNORED,
    LARGEST_LABEL,
    NOT_ANNOTATED,
    binary_label,
    class_label,
    resize_label,
    stack_labels,
)


def test_values_become_foreground_and_ignored() -> None:
    label = torch.tensor([[0, 1, 2, 255]], dtype=torch.uint8)
    assert binary_label(label, [1, 2], 255).tolist() == [[0, 1, 1, 255]]
    assert binary_label(label, [2]).tolist() == [[0, 0, 1, 0]]
    assert binary_label(label, [255]).tolist() == [[0, 0, 0, 1]]
    assert binary_label(label, range(2, 20), 255).tolist() == [[0, 0, 1, 255]]
    assert binary_label(label, [2], 2).tolist() == [[0, 0, 1, 0]]


def test_an_item_without_the_class_uses_the_given_values() -> None:
    label = torch.tensor([[7, 3]], dtype=torch.uint8)
    assert class_label({"classes": {}, "ignore_value": 7}, label, "dog", [3]).tolist() == [[255, 1]]
    assert class_label({"classes": {"dog": [7]}}, label, "dog", [3]).tolist() == [[1, 0]]


def test_nearest_resize_keeps_the_values() -> None:
    label = torch.tensor([[[0.0, 1.0], [255.0, 0.0]]])
    enlarged = resize_label(label, (4, 4))
    assert enlarged.shape == (1, 4, 4)
    assert enlarged[0, :2, 2:].eq(1).all()
    assert set(enlarged.unique().tolist()) == {0.0, 1.0, 255.0}


@pytest.mark.parametrize("sizes", [[(2, 3)], [(2, 3), (4, 2)]])
def test_different_sizes_are_brought_to_the_largest(sizes: list[tuple[int, int]]) -> None:
    stacked = stack_labels([torch.ones(1, *size) for size in sizes])
    assert stacked.shape == (len(sizes), 1, max(h for h, _ in sizes), max(w for _, w in sizes))
    assert stacked.eq(1).all()


def test_one_value_is_reserved_and_no_other_module_writes_it_down() -> None:
    assert metrics.IGNORE_VALUE == NOT_ANNOTATED == propagation.NOT_ANNOTATED == evaluation.NOT_ANNOTATED == IGNORED
    assert LARGEST_LABEL < IGNORED == torch.iinfo(torch.uint8).max
    compared = re.compile(r"(==|!=|=|,) *255(\.0)?\b(?! ?/)|\b255(\.0)? *(==|!=)")
    no_label = {"volume_reader.py", "picture_reader.py", "segmentation.py", "atomic.py"}  # grey levels; bytes of a name
    root = Path(labels.__file__).parent
    for path in sorted(root.rglob("*.py")):
        if path.name == "labels.py" or path.name in no_label or path.parent.name == "readers":
            continue
        code = "\n".join(line.partition("#")[0] for line in path.read_text(encoding="utf-8").splitlines())
        code = re.sub(r'"""[\s\S]*?"""|"[^"\n]*"', "", code)
        assert not compared.search(code), f"{path.relative_to(root)} should take 255 from labels.py"
