# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Names of label values."""

from __future__ import annotations

import pytest

from scripts.data.class_names import name_labels


def test_names_follow_the_order_of_values() -> None:
    assert name_labels([2, 7], ["liver", "spleen"]) == {2: "liver", 7: "spleen"}
    assert name_labels([2, 7]) == {2: "label 2", 7: "label 7"}
    assert name_labels([]) == {}


@pytest.mark.parametrize(("values", "names"), [([2], ["a", "b"]), ([2, 7, 9], ["a", "b"]), ([], ["a", "b"])])
def test_as_many_names_as_values(values: list[int], names: list[str]) -> None:
    with pytest.raises(ValueError, match=rf"2 class_names \(a, b\) for {len(values)} label values \[.*\]"):
        name_labels(values, names)
