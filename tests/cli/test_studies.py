# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt compare`` and ``segprompt table``."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.apps.reports import table as reports
from scripts.apps.startup.errors import UsageError
from scripts.cli.studies import table

from .conftest import Started, call


def test_compare(started: Started) -> None:
    code, text = call("compare", "DATA", "--hosts", "matching,ifa")
    assert code == 0, text
    assert started == [
        {
            "workflow": "compare",
            "overlays": [],
            "keys": {"hosts": ["matching", "ifa"], "data_root": "DATA"},
            "task": "compare on DATA",
        }
    ]


def test_a_table_of_named_evaluations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {}

    def write_table(evaluations: dict[str, str], output: Path) -> Path:
        given.update(evaluations)
        output.write_text("| a table |")
        return output

    monkeypatch.setattr(reports, "write_table", write_table)
    table(["ifa=output/b", "a b=x=y"], tmp_path / "t.md")
    assert given == {"ifa": "output/b", "a b": "x=y"}
    assert capsys.readouterr().out == f"| a table |\nwrote {tmp_path / 't.md'}\n"


def test_an_evaluation_without_a_name() -> None:
    with pytest.raises(UsageError, match=r"^give a name to 'output/b': NAME=FOLDER"):
        table(["ifa=output/a", "output/b"])
    assert call("table")[0] == 2
