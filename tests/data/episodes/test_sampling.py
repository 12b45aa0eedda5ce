# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.data.episodes.sampling import ClassIndex


def slices(num_cases: int, num_slices: int, num_classes: int) -> list[dict[str, Any]]:
    names = [f"organ {index}" for index in range(num_classes)]
    return [
        {
            "case_id": str(case),
            "slice": z,
            "classes": {name: [index + 1] for index, name in enumerate(names)},
            "areas": dict.fromkeys(names, 0.01 * (z + 1)),
        }
        for case in range(num_cases)
        for z in range(num_slices)
    ]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    first=st.integers(0, 10**6),
    num_cases=st.integers(2, 7),
    num_slices=st.integers(1, 4),
    num_classes=st.integers(1, 5),
    data=st.data(),
)
def test_any_episode_is_lawful_and_repeatable(
    seed: int, first: int, num_cases: int, num_slices: int, num_classes: int, data: st.DataObject
) -> None:
    num_shots = data.draw(st.integers(1, num_cases - 1))
    items = slices(num_cases, num_slices, num_classes)
    index, other = (ClassIndex(items, num_shots=num_shots) for _ in range(2))
    first -= first % num_classes
    draws = [index.draw(seed, number) for number in range(first, first + num_classes)]
    assert sorted(draw.class_name for draw in draws) == sorted(index.classes)  # each class once a round
    for number, draw in zip(range(first, first + num_classes), draws, strict=True):
        assert other.draw(seed, number) == draw
        cases = [items[position]["case_id"] for position in (draw.query, *draw.support)]
        assert len(set(cases)) == num_shots + 1  # never the query's case, nor a support twice
        assert all(draw.class_name in items[position]["classes"] for position in (draw.query, *draw.support))


def test_episodes_differ_between_numbers_and_seeds() -> None:
    index = ClassIndex(slices(20, 3, 2))
    draws = {(seed, number): index.draw(seed, number) for seed in range(2) for number in range(50)}
    assert len({(draw.query, *draw.support) for draw in draws.values()}) > 80


def test_cases_are_drawn_evenly_whatever_their_number_of_slices() -> None:
    items = [item for item in slices(3, 8, 1) if item["case_id"] == "0" or item["slice"] == 0]
    index = ClassIndex(items)
    queries = Counter(items[index.draw(0, number).query]["case_id"] for number in range(600))
    assert max(queries.values()) < 1.25 * min(queries.values())


def test_least_area_holds_for_query_and_support() -> None:
    items = slices(4, 5, 1)
    index = ClassIndex(items, min_area=0.04)
    for number in range(50):
        draw = index.draw(0, number)
        assert min(items[position]["areas"]["organ 0"] for position in (draw.query, *draw.support)) >= 0.04


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_shots": 3}, r"class 'organ 0' occurs in 3 case\(s\); an episode of 3 shot\(s\) needs 4"),
        ({"min_area": 0.5}, r"occurs in 0 case\(s\) in which it covers at least 50\.00% of the image"),
        ({"classes": ["spleen"]}, r"class 'spleen' occurs in 0 case.*Classes in this datalist: organ 0, organ 1"),
        ({"num_shots": 0}, "num_shots must be at least 1"),
    ],
)
def test_too_few_images(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassIndex(slices(3, 2, 2), **arguments)


def test_nothing_to_draw_from() -> None:
    with pytest.raises(ValueError, match="the datalist is empty"):
        ClassIndex([])
    with pytest.raises(ValueError, match="all masks are empty"):
        ClassIndex([{"case_id": "a", "classes": {}, "areas": {}}])
