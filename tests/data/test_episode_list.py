# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.data import read_chaos_mr
from scripts.data.episode_list import EpisodeList, load_episode_list, make_episode_list


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
