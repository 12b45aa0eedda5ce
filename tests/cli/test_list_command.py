# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt list``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.cli.workflows import OVERLAYS

from .conftest import call


@pytest.mark.parametrize("kind", OVERLAYS)
def test_lists_are_those_of_the_configs(kind: str, bundle_root: Path) -> None:
    code, text = call("list", kind)
    assert code == 0
    for path in (bundle_root / "configs" / OVERLAYS[kind]).glob("*.json"):
        assert re.search(rf"^{path.stem}\b", text, re.MULTILINE)
    if kind == "hosts":
        assert re.search(r"^ifa +yes +yes +self-support", text, re.MULTILINE)
        assert re.search(r"^matching +no +no +dense", text, re.MULTILINE)


def test_only_hosts_say_whether_they_train() -> None:
    assert re.search(r"^name +trains +takes text +what it is", call("list", "hosts")[1], re.MULTILINE)
    assert re.search(r"^name +what it is", call("list", "data")[1], re.MULTILINE)


def test_an_unknown_kind_names_the_others() -> None:
    code, text = call("list", "nothing")
    assert code == 2
    assert all(f"'{kind}'" in text for kind in OVERLAYS)
