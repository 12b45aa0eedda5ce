# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Values as a person types them."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.cli.values import read_value

DEVICE = "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')"


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("3", 1, 3),
        ("0.5", 1, 0.5),
        ("false", True, False),
        ("Yes", False, True),
        ("none", 0, None),
        ("null", None, None),
        ("none", "episodes", "none"),
        ("3", "a name", "3"),
        ("a,b", ["c"], ["a", "b"]),
        ("1,2", [1], [1, 2]),
        ("3", [1], [3]),
        ("['a', 'b']", [], ["a", "b"]),
        ("(1, 2)", [1], [1, 2]),
        ("['a']", None, ["a"]),
        ("left kidney,right kidney", [], ["left kidney", "right kidney"]),
        ("V.nii.gz", None, "V.nii.gz"),
        ("a#b @ 100 % $", None, "a#b @ 100 % $"),
        ("cpu", DEVICE, "$torch.device('cpu')"),
        ("$torch.device('cpu')", DEVICE, "$torch.device('cpu')"),
        ("{'a': 1}", {}, {"a": 1}),
    ],
)
def test_value(text: str, default: Any, value: Any) -> None:
    assert read_value(text, default) == value
    assert type(read_value(text, default)) is type(value)
