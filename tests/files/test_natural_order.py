# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

from scripts.files.natural_order import natural_key


def test_numbers_count_by_value() -> None:
    assert sorted(["case_10", "case_2", "1", "b", "10"], key=natural_key) == ["1", "10", "b", "case_2", "case_10"]
    assert sorted([Path("a/s10"), Path("a/s9")], key=natural_key) == [Path("a/s9"), Path("a/s10")]


def test_digits_that_are_no_numbers_are_text() -> None:
    assert sorted(["m\u00b2", "m2", "m1"], key=natural_key) == ["m1", "m2", "m\u00b2"]
