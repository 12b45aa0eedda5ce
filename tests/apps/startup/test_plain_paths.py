# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Whatever a path is made of, a workflow gets it as it was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from monai.bundle import ConfigParser

from scripts.apps.startup.override_types import read_override_types
from scripts.apps.startup.plain_paths import literal

NAMES = (
    *("a b", "O'Brien", "x[1]", "a,b", "k=v", "c#1", "u@h", "cost$5", "50%", "a&b+c", "007", "Größe 東京", '"q"'),
    *("{k}", "a::b", "~t", "#", "c#1::d", "a\\b", "tab\tend", "$HOME'x", "@x#y", "%z"),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


def workflow(**overrides: Any) -> ConfigParser:
    """What MONAI's command does with overrides, up to the start-up check."""
    parser = ConfigParser({"image": None, "images": None, "shown": "$[@image, @images]", "list": ["@image"]})
    parser.update(overrides)
    parser.parse(reset=True)
    read_override_types(parser, {"image": None, "images": None}, [])
    return parser


@pytest.mark.parametrize("name", NAMES)
def test_every_sign_in_a_path(name: str) -> None:
    path, several = f"/data/{name}/{name}.nii.gz", [f"/{name}", f"b/{name}"]
    parser = workflow(image=path, images=several)
    assert parser.get_parsed_content("image") == path
    assert parser.get_parsed_content("images") == several
    assert parser.get_parsed_content("shown") == [path, several]
    assert parser.get_parsed_content("list") == [path]


@settings(max_examples=200, deadline=None)
@given(text=TEXT)
@example("#@$%::'\"\\\n")
def test_a_literal_is_the_text(text: str) -> None:
    parser = ConfigParser({"a": literal(text), "b": literal([text, "x"])})
    assert parser.get_parsed_content("a") == text
    assert parser.get_parsed_content("b") == [text, "x"]


def test_what_only_the_disk_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python the arguments are gone by then; relative names may start with a sign."""
    (tmp_path / "c#1").mkdir()
    (tmp_path / "@x").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASES", str(tmp_path))
    expected = {"c::1": "c#1", "c::1/new.nii": "c#1/new.nii", "@x": "@x", "$CASES/a": f"{tmp_path}/a", "a::b": "a::b"}
    for stored, path in expected.items():
        parser = ConfigParser({"image": stored})
        read_override_types(parser, {"image": None}, [])
        assert parser.get_parsed_content("image") == path


def test_references_and_expressions_stay() -> None:
    parser = workflow(image="$'a' + 'b'", images="@image")
    assert parser.get_parsed_content("images") == "ab"
