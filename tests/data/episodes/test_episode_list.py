# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.data import read_chaos_mr
from scripts.data.episodes.episode_list import EpisodeList, load_episode_list, make_episode_list


@pytest.fixture
def items(picture_items: Any) -> list[dict[str, Any]]:
    return picture_items({f"i{n}": {"cat": 0.1, "dog": 0.2} for n in range(5)})


def make(items: list[dict[str, Any]], **arguments: Any) -> EpisodeList:
    return make_episode_list(items, "pets", **{"protocol": "episodes", "num_episodes": 6, **arguments})


def test_round_trip_keeps_tasks_and_hash(tmp_path: Path, items: list[dict[str, Any]]) -> None:
    written = make(items)
    loaded = load_episode_list(written.save(tmp_path / "lists" / "pets.json"))
    assert loaded == written
    assert loaded.sha256 == written.sha256
    assert len(loaded) == 6
    assert make(items, file=tmp_path / "lists" / "pets.json") == written


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(3, 7), min_size=1, max_size=4),
    num_shots=st.integers(1, 2),
    num_episodes=st.integers(1, 12),
    seed=st.integers(0, 2**31 - 1),
)
def test_any_list_is_lawful_and_survives_its_file(
    picture_items: Any, tmp_path: Path, sizes: list[int], num_shots: int, num_episodes: int, seed: int
) -> None:
    shown = {f"c{kind}": [f"{kind}_{n}" for n in range(size)] for kind, size in enumerate(sizes)}
    items = picture_items({name: {kind: 0.1} for kind, names in shown.items() for name in names})
    made = make(items, num_shots=num_shots, num_episodes=num_episodes, seed=seed)
    assert made.sha256 == make(items, num_shots=num_shots, num_episodes=num_episodes, seed=seed).sha256
    drawn = [task["class_name"] for task in made.tasks]
    assert len(drawn) == num_episodes
    assert max(map(drawn.count, shown)) - min(map(drawn.count, shown)) <= 1
    for task in made.tasks:
        members = [*task["query"], *task["support"]]
        assert len(task["support"]) == num_shots
        assert len(set(members)) == num_shots + 1
        assert set(members) <= set(shown[task["class_name"]])
    assert load_episode_list(made.save(tmp_path / "list.json")) == made


def test_hash_tells_lists_apart_and_ignores_layout(tmp_path: Path, items: list[dict[str, Any]]) -> None:
    assert make(items).sha256 == make(list(items)).sha256
    assert make(items).sha256 != make(items, seed=1).sha256
    path = make(items).save(tmp_path / "a.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(content.items()))))
    assert load_episode_list(path).sha256 == content["sha256"]


def test_propagation_hash_depends_on_the_annotation(chaos_folder: Path) -> None:
    volumes = read_chaos_mr(chaos_folder)
    hashes = {
        make_episode_list(volumes, "chaos_mr", "propagation", annotate=annotate, annotated_slices=number).sha256
        for annotate in ("own", "all")
        for number in (1, 3)
    }
    assert len(hashes) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("task", "was changed: its content has the sha256"),
        ("field", "is not an episode list: it has no tasks"),
        ("json", "is not JSON"),
        ("list", "is not an episode list"),
    ],
)
def test_tampered_files(tmp_path: Path, items: list[dict[str, Any]], change: str, message: str) -> None:
    path = make(items).save(tmp_path / "a.json")
    content = json.loads(path.read_text())
    if change == "task":
        content["tasks"][0]["support"] = content["tasks"][0]["query"]
    elif change == "field":
        del content["tasks"]
    path.write_text({"json": "{", "list": "[]"}.get(change, json.dumps(content)))
    with pytest.raises(ValueError, match=rf"a\.json {message}"):
        load_episode_list(path)


def test_lists_of_other_evaluations_are_refused(tmp_path: Path, items: list[dict[str, Any]]) -> None:
    path = make(items).save(tmp_path / "a.json")
    with pytest.raises(ValueError, match="was made for num_shots 1, this evaluation asks for 2"):
        make(items, file=path, num_shots=2)
    with pytest.raises(ValueError, match="was made for dataset 'pets', this evaluation asks for 'farm'"):
        make_episode_list(items, "farm", "episodes", file=path)
    with pytest.raises(ValueError, match=r"names i\d.* which the data lack"):
        make(items[:2], file=path)
    with pytest.raises(FileNotFoundError, match="no episode list"):
        make(items, file=tmp_path / "b.json")


def test_unknown_protocol(items: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="protocol 'chunks' is unknown; choose one of episodes"):
        make(items, protocol="chunks")
