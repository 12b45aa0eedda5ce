# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a word on the command line means depends on the key's default; what it can't mean is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.bundle import ConfigParser

from scripts.apps.startup.override_types import (
    kinds_of,
    read_override_types,
    read_value,
    shipped_overlays,
    typed_values,
)

# Kinds -> what is given -> what is read; an exception where nothing fits.
READ: list[tuple[set[str], Any, Any]] = [
    *(({"bool"}, word, True) for word in ("true", "True", "TRUE", "yes", "on", "1", 1, True, " true ")),
    *(({"bool"}, word, False) for word in ("false", "False", "FALSE", "no", "off", "0", 0, False)),
    *(({"bool"}, word, ValueError) for word in ("maybe", 2, 1.5, "null", None, "2", [True])),
    *(({"int"}, value, 96) for value in (96, 96.0, "96", "96.0", " 96 ", "+96")),
    *(({"int"}, value, ValueError) for value in ("abc", 96.5, "96.5", True, "null", "nan", [96], "9 6")),
    *(({"float"}, value, 0.5) for value in (0.5, "0.5", "5e-1")),
    *(({"float"}, value, ValueError) for value in ("abc", "nan", "inf", False, "none")),
    *(({"int", "none"}, value, None) for value in (None, "null", "None", "NONE", "none")),
    ({"list"}, "liver", ["liver"]),
    ({"list"}, ("liver", "spleen"), ["liver", "spleen"]),
    ({"list"}, 5, ValueError),
    ({"text", "none"}, 7, "7"),
    ({"text"}, "null", ValueError),
    ({"text", "none"}, "off", "off"),
    ({"free"}, "false", False),
    ({"free"}, "null", None),
    ({"free"}, "x", "x"),
    ({"bool"}, "$@device.type == 'cuda'", "$@device.type == 'cuda'"),
    ({"int"}, "@other", "@other"),
    ({"device"}, "cpu", "$torch.device('cpu')"),
    ({"device"}, "gpu0", ValueError),
]


@pytest.mark.parametrize(
    ("kinds", "value", "expected"),
    READ,
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else repr(value),
)
def test_words_and_numbers(kinds: set[str], value: Any, expected: Any) -> None:
    if expected is ValueError:
        with pytest.raises(ValueError):
            read_value(value, frozenset(kinds))
        return
    found = read_value(value, frozenset(kinds))
    assert found == expected
    assert type(found) is type(expected)


@given(number=st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6)))
def test_numbers_in_quotes_are_numbers(number: float) -> None:
    assert read_value(str(number), frozenset({"float"})) == number
    if float(number).is_integer():
        assert read_value(f"{int(number)}.0", frozenset({"int"})) == int(number)
    else:
        with pytest.raises(ValueError):
            read_value(number, frozenset({"int"}))


def parser_of(bundle_root: Path, name: str, **overrides: Any) -> tuple[ConfigParser, dict[str, Any], list[Any]]:
    file = bundle_root / "configs" / name
    base = ConfigParser.load_config_files([str(file)])
    parser = ConfigParser()
    parser.read_config(str(file))
    parser.update(overrides)
    parser.parse()
    return parser, base, shipped_overlays([file])


WORKFLOWS = ("train.json", "inference.json", "compare.json", "prepare.json", "describe.json", "prompt_study.json")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_key_of_every_workflow_keeps_its_default(bundle_root: Path, name: str) -> None:
    parser, base, overlays = parser_of(bundle_root, name)
    before = str(parser.get())
    read_override_types(parser, base, overlays)
    assert str(parser.get()) == before


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_number_and_switch_of_every_workflow(bundle_root: Path, name: str) -> None:
    """As text they are read, and a word that is neither is refused with key, value and what was expected."""
    base = ConfigParser.load_config_files([str(bundle_root / "configs" / name)])
    for key, default in base.items():
        if not isinstance(default, (bool, int, float)):
            continue
        parser, _, overlays = parser_of(bundle_root, name, **{key: str(default).lower()})
        read_override_types(parser, base, overlays)
        assert parser[key] == default
        assert type(parser[key]) is type(default)
        parser, _, _ = parser_of(bundle_root, name, **{key: "abc"})
        with pytest.raises(ValueError, match=rf"{key} is 'abc', expected (true or false|a (whole )?number)"):
            read_override_types(parser, base, overlays)


def test_device_and_nested_values(bundle_root: Path) -> None:
    given = {"device": "cpu", "dataloader#num_workers": "2", "save_probability": "false", "class_names": "liver"}
    parser, base, overlays = parser_of(bundle_root, "inference.json", **given)
    read_override_types(parser, base, overlays)
    assert parser.get_parsed_content("device") == torch.device("cpu")
    assert parser["dataloader"]["num_workers"] == 2
    assert parser["save_probability"] is False
    assert parser["class_names"] == ["liver"]
    parser, _, _ = parser_of(bundle_root, "inference.json", device="tpu9")
    with pytest.raises(ValueError, match=r"device is 'tpu9', expected the name of a torch\.device .* --device cpu"):
        read_override_types(parser, base, overlays)
    parser, _, _ = parser_of(bundle_root, "inference.json", **{"dataloader#num_workers": "two"})
    with pytest.raises(ValueError, match=r"dataloader#num_workers is 'two', expected a whole number"):
        read_override_types(parser, base, overlays)


def test_all_wrong_values_are_told_at_once() -> None:
    defaults = {"epochs": [10], "resume": [True], "fold": [0, None]}
    with pytest.raises(ValueError, match=r"epochs is 'x', .*; resume is 'y', .*; fold is 'z', expected a whole number"):
        typed_values({"epochs": "x", "resume": "y", "fold": "z"}, defaults)
    assert typed_values({"epochs": "3", "fold": "none", "own": "true"}, defaults) == {"epochs": 3, "fold": None}
    assert kinds_of(defaults)["fold"] == {"int", "none"}
