# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.data import read_chaos_mr
from scripts.data.episodes.protocols import (
    PROTOCOLS,
    ProtocolOptions,
    all_slices,
    annotation_slices,
    episodes,
    labelled_chunks,
    propagation,
    sequential_episodes,
    support_slices,
)


def volume(case_id: str, num_slices: int = 12, **extents: range) -> dict[str, Any]:
    """A volume whose organs cover the given slices; areas rise to the middle of the extent."""
    areas = {}
    for name, extent in extents.items():
        middle = extent[len(extent) // 2]
        areas[name] = [0.1 / (1 + abs(z - middle)) if z in extent else 0.0 for z in range(num_slices)]
    return {
        "image": f"{case_id}.nii.gz",
        "label": f"{case_id}_label.nii.gz",
        "case_id": case_id,
        "num_slices": num_slices,
        "classes": {name: [index + 1] for index, name in enumerate(extents)},
        "slice_areas": areas,
    }


def reference_chunks(support: np.ndarray, query: np.ndarray) -> dict[int, int]:
    """Query slice -> support slice, by a plain loop: thirds of the extent, middle slice of the support's third."""
    pairs = {}
    for number, part in enumerate(np.array_split(query, 3)):
        third = np.array_split(support, 3)[number]
        middle = third[len(third) // 2] if len(third) else support[len(support) // 2]
        pairs.update({int(z): int(middle) for z in part})
    return pairs


@pytest.mark.parametrize(
    ("support", "query"), [(range(2, 9), range(0, 12)), (range(3, 5), range(4, 6)), (range(1), range(5))]
)
def test_chunks_match_a_plain_loop(support: range, query: range) -> None:
    volumes = [volume("1", liver=support), volume("2", liver=query)]
    tasks = labelled_chunks(volumes, ProtocolOptions(support_case=1))
    found = {int(name.split(":")[1]): int(task["support"][0].split(":")[1]) for task in tasks for name in task["query"]}
    assert found == reference_chunks(np.array(support), np.array(query))
    assert all(task["case_id"] == "2" and task["support"][0].startswith("1:") for task in tasks)


def test_chunks_of_real_files(chaos_folder: Path) -> None:
    tasks = labelled_chunks(read_chaos_mr(chaos_folder), ProtocolOptions())
    assert Counter(task["case_id"] for task in tasks) == {"2": 12, "3": 12, "10": 12}
    first = tasks[0]
    assert (first["class_name"], first["query"], first["support"]) == ("liver", ["2:1", "2:2", "2:3"], ["1:2"])


def test_more_shots_take_more_cases_and_the_same_queries() -> None:
    volumes = [volume(str(case), liver=range(case, case + 6)) for case in range(1, 6)]
    one = labelled_chunks(volumes, ProtocolOptions(num_shots=1, support_case=["1", "2"]))
    two = labelled_chunks(volumes, ProtocolOptions(num_shots=2, support_case=["1", "2"]))
    assert [task["query"] for task in one] == [task["query"] for task in two]
    assert one[0]["support"] == ["1:2"]
    assert two[0]["support"] == ["1:2", "2:3"]
    assert {task["case_id"] for task in one} == {"3", "4", "5"}
    assert {task["case_id"] for task in labelled_chunks(volumes, ProtocolOptions(num_shots=3))} == {"4", "5"}


def test_all_slices_are_there_once_and_go_to_the_nearest_relative_position() -> None:
    volumes = [
        volume("1", 12, liver=range(3, 12)),
        volume("2", 24, liver=range(8, 20)),
        volume("3", 10, spleen=range(2)),
    ]
    tasks = all_slices(volumes, ProtocolOptions(classes=["liver"]))
    assert {task["case_id"] for task in tasks} == {"2"}
    slices = [int(name.split(":")[1]) for task in tasks for name in task["query"]]
    assert sorted(slices) == list(range(24))
    supports = support_slices(volumes[0], "liver")
    for task in tasks:
        own = int(task["support"][0].split(":")[1])
        for name in task["query"]:
            z = int(name.split(":")[1])
            distance = [abs((z + 0.5) / 24 - (s + 0.5) / 12) for s in supports]
            assert distance[supports.index(own)] == min(distance)


extents = st.tuples(st.integers(0, 8), st.integers(1, 9)).map(lambda pair: range(pair[0], min(12, sum(pair))))


@settings(max_examples=60, deadline=None)
@given(
    shown=st.lists(extents, min_size=3, max_size=6),
    num_shots=st.integers(1, 2),
    protocol=st.sampled_from(["labelled_chunks", "all_slices"]),
)
def test_volume_protocols_are_lawful(shown: list[range], num_shots: int, protocol: str) -> None:
    """Each wanted slice is a query once; supports show the class and are of cases that are never queries."""
    volumes = [volume(str(case), liver=extent) for case, extent in enumerate(shown)]
    tasks = PROTOCOLS[protocol](volumes, ProtocolOptions(num_shots=num_shots))
    assert tasks == PROTOCOLS[protocol](volumes[::-1], ProtocolOptions(num_shots=num_shots))  # order doesn't matter
    queries = [name for task in tasks for name in task["query"]]
    wanted = {
        f"{case}:{z}"
        for case, extent in enumerate(shown)
        for z in (extent if protocol == "labelled_chunks" else range(12))
        if case >= num_shots
    }
    assert len(queries) == len(set(queries))
    assert set(queries) == wanted
    for task in tasks:
        assert len(task["support"]) == num_shots
        for name in task["support"]:
            case, z = map(int, name.split(":"))
            assert case < num_shots
            assert z in shown[case]


@pytest.mark.parametrize(("number", "expected"), [(1, [6]), (3, [3, 6, 9])])
def test_annotated_slices(number: int, expected: list[int]) -> None:
    assert annotation_slices(volume("1", liver=range(1, 12))["slice_areas"]["liver"], number) == expected


def test_annotated_slices_show_the_class_even_where_the_extent_has_gaps() -> None:
    areas = volume("1", liver=range(0, 11))["slice_areas"]["liver"]
    areas[2] = 0.0  # 20 % of the extent
    chosen = annotation_slices(areas, 3)
    assert all(areas[z] > 0 for z in chosen)
    assert len(chosen) == 3


def test_propagation_lists_present_classes() -> None:
    volumes = [volume("2", liver=range(1, 8), spleen=range(3, 6)), volume("1", spleen=range(4))]
    assert propagation(volumes, ProtocolOptions()) == [
        {"case_id": "1", "class_names": ["spleen"], "annotated_slices": {"spleen": [2]}},
        {
            "case_id": "2",
            "class_names": ["spleen", "liver"],
            "annotated_slices": {"spleen": [4], "liver": [4]},
        },
    ]


def test_joint_annotation_chooses_slices_for_all_classes_together() -> None:
    case = volume("1", liver=range(1, 8), spleen=range(3, 10))
    own = propagation([case], ProtocolOptions(annotate="all"))[0]["annotated_slices"]
    joint = propagation([case], ProtocolOptions(annotate="joint"))[0]["annotated_slices"]
    assert own == {"liver": [4], "spleen": [6]}
    total = np.sum([case["slice_areas"][name] for name in ("liver", "spleen")], axis=0)
    assert joint == {"liver": [int(total.argmax())], "spleen": [int(total.argmax())]}


def test_drawn_episodes_are_balanced_and_repeatable(picture_items: Any) -> None:
    items = picture_items({f"i{n}": {"cat": 0.1, "dog": 0.05 * (n + 1)} for n in range(6)})
    options = ProtocolOptions(num_episodes=20, seed=4, num_shots=2)
    tasks = episodes(items, options)
    assert Counter(task["class_name"] for task in tasks) == {"cat": 10, "dog": 10}
    assert tasks == episodes(items, options)
    assert tasks != episodes(items, ProtocolOptions(num_episodes=20, seed=5, num_shots=2))
    assert all(task["query"][0] not in task["support"] and len(set(task["support"])) == 2 for task in tasks)


@pytest.mark.parametrize("num_shots", [1, 3])
def test_sequential_episodes_follow_one_stream(picture_items: Any, num_shots: int) -> None:
    """The stream, drawn again by hand: choice of the query, sample of the rest of its group, groups in turn."""
    items = picture_items({f"i{n}": {"nucleus": 0.1} if n % 3 else {"nucleus": 0.1, "rim": 0.2} for n in range(9)})
    for number, item in enumerate(items):
        item["group"] = "b" if number % 2 else "a"
    tasks = sequential_episodes(items, ProtocolOptions(num_episodes=12, seed=0, num_shots=num_shots))
    stream, expected = random.Random(0), []
    for number in range(12):
        group = items[number % 2 :: 2]
        query = stream.choice(group)
        support = stream.sample([item for item in group if item is not query], num_shots)
        for name in sorted(query["classes"]):
            shown = [item["case_id"] for item in support if name in item["classes"]]
            if shown:
                expected.append((name, query["case_id"], shown))
    assert [(task["class_name"], task["case_id"], task["support"]) for task in tasks] == expected


def test_the_small_set_gives_a_tenth_of_the_episodes(picture_items: Any) -> None:
    items = picture_items({f"i{n}": {"nucleus": 0.1} for n in range(8)})
    for number, item in enumerate(items):
        item["group"] = "dataset2" if number < 3 else "dataset1"
    tasks = sequential_episodes(items, ProtocolOptions(num_episodes=40))
    assert sum(task["case_id"] in ("i0", "i1", "i2") for task in tasks) == 4


@pytest.mark.parametrize(
    ("protocol", "options", "message"),
    [
        ("labelled_chunks", {"support_case": 9}, "support_case 9 is not in the data; its cases are 1, 2"),
        ("labelled_chunks", {"classes": ["spleen"]}, r"no support slice of class 'spleen' in case 1 \(has: liver\)"),
        ("labelled_chunks", {"classes": ["heart"]}, "no volume shows 'heart'; classes found: liver, spleen"),
        ("labelled_chunks", {"num_shots": 2}, r"all 2 case\(s\) are support cases"),
        ("labelled_chunks", {"num_shots": 2, "support_case": 1}, "2 shots need as many support cases, got 1"),
        ("propagation", {"annotated_slices": 2}, "annotated_slices is 1 or 3, not 2"),
        ("propagation", {"annotate": "some"}, "annotate is one of own, all, joint, not 'some'"),
        ("episodes", {"num_episodes": 0}, "num_episodes must be at least 1"),
    ],
)
def test_wrong_options(protocol: str, options: dict[str, Any], message: str) -> None:
    volumes = [volume("1", liver=range(4)), volume("2", liver=range(4), spleen=range(3))]
    with pytest.raises(ValueError, match=message):
        PROTOCOLS[protocol](volumes, ProtocolOptions(**options))


@pytest.mark.parametrize("protocol", ["labelled_chunks", "all_slices", "propagation"])
def test_volume_protocols_refuse_pictures(protocol: str, picture_items: Any) -> None:
    with pytest.raises(ValueError, match=r"needs volumes, got 1 2D items \(the first is a\)"):
        PROTOCOLS[protocol](picture_items({"a": {"cat": 0.1}}), ProtocolOptions())
