# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Overlays that options choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.cli.choices import chosen
from scripts.cli.errors import UsageError
from scripts.cli.workflows import overlays_of


@pytest.mark.parametrize(
    ("folder", "data", "name"),
    [(None, None, "synthetic"), ("x/VOC2012", None, "voc2012"), ("CHAOS", None, "chaos_mr"), ("CHAOS", "wbc", "wbc"),
     ("kvasir", None, "image_text")],
)  # fmt: skip
def test_the_folder_tells_the_data_set(folder: str | None, data: str | None, name: str) -> None:
    files, found = chosen(None if folder is None else Path(folder), data, {"hosts": "ifa", "text": None}, None)
    assert found == name
    assert [path.stem for path in files] == [name, "ifa"]


def test_a_folder_that_tells_nothing_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"'things' doesn't tell which data set .*: add --data NAME, one of chaos_ct"):
        chosen(Path("things"), None, {}, None)
    assert len(overlays_of("data")) > 10


def test_files_come_in_the_order_in_which_they_win(tmp_path: Path) -> None:
    own, further = tmp_path / "mine.json", tmp_path / "over.json"
    own.write_text("{}")
    files, name = chosen(Path("things"), str(own), {"hosts": "ifa", "text": "minilm", "backbones": None}, [further])
    assert [path.stem for path in files] == ["mine", "ifa", "minilm", "over"]
    assert files[0] == own
    assert name == "mine"


def test_a_folder_is_known_in_any_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "WBC").mkdir()
    monkeypatch.chdir(tmp_path / "WBC")
    assert chosen(Path(), None, {}, None)[1] == "wbc"
    assert chosen(Path("~/chaos"), None, {}, None)[1] == "chaos_mr"


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(UsageError, match="no 'gpt' among the text: there are "):
        chosen(None, None, {"hosts": "ifa", "text": "gpt"}, None)
