# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A workflow from a command."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.apps.startup import assembly
from scripts.apps.startup.config_check import UNKNOWN_IDS
from scripts.cli.errors import UsageError
from scripts.cli.run import overlay_file, run_workflow
from scripts.cli.workflows import OVERLAYS, WORKFLOWS, overlays_of, workflow_files
from scripts.version import version


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is started, and what is called on it after that."""
    calls: list[Any] = []

    def start(files: list[str], **values: Any) -> Any:
        calls.append((files, values))
        return SimpleNamespace(run=lambda: calls.append("run"), finalize=lambda: calls.append("finalize"))

    monkeypatch.setattr(assembly, "start", start)
    monkeypatch.setattr(sys, "stderr", sys.stderr)  # bars_as_lines replaces it
    return calls


@pytest.mark.parametrize("kind", OVERLAYS)
def test_every_overlay_has_its_file(kind: str, bundle_root: Path) -> None:
    for overlay in overlays_of(kind):
        path = overlay_file(kind, overlay.name)
        assert path.is_file()
        assert path.is_relative_to(bundle_root / "configs")


def test_a_file_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.json").write_text("{}")
    assert overlay_file("hosts", "~/own.json") == tmp_path / "own.json"
    with pytest.raises(UsageError, match=r"^no file none\.json: expected one of the hosts, or the path of"):
        overlay_file("hosts", "none.json")


def test_an_unknown_name_lists_those_there_are() -> None:
    names = ", ".join(overlay.name for overlay in overlays_of("hosts"))
    with pytest.raises(UsageError) as caught:
        overlay_file("hosts", "IFA")
    assert str(caught.value) == f"no 'IFA' among the hosts: there are {names} (or the path of a .json file)"


def test_it_starts_runs_and_ends(starts: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    keys = {"device": "$torch.device('cpu')", "fold": None, "epochs": 3}
    run_workflow("training", [Path("a.json")], keys, task="train a toy")
    files, values = starts[0]
    assert files == [*map(str, workflow_files("training")), "a.json"]
    assert values == {**keys, "fold": "$None", "run_id": WORKFLOWS["training"].run_id}
    assert starts[1:] == ["run", "finalize"]
    line = capsys.readouterr().out
    assert line.startswith(f"segprompt {version()}: train a toy on cpu, ")
    assert line.endswith(" threads\n")


def test_another_device_has_no_threads(starts: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    run_workflow("evaluating", [], {"device": "$torch.device('cuda:1')"}, task="evaluate")
    assert capsys.readouterr().out == f"segprompt {version()}: evaluate on cuda:1\n"


@pytest.mark.parametrize(("message", "kind"), [(f"{UNKNOWN_IDS}\n  epoch", UsageError), ("a bad value", RuntimeError)])
def test_mistyped_keys_are_wrong_use_and_other_errors_pass(
    starts: list[Any], monkeypatch: pytest.MonkeyPatch, message: str, kind: type[Exception]
) -> None:
    def start(files: list[str], **values: Any) -> None:
        try:
            raise ValueError(message)
        except ValueError as error:
            raise RuntimeError("Failed to evaluate") from error

    monkeypatch.setattr(assembly, "start", start)
    with pytest.raises(kind) as caught:
        run_workflow("training", [], {}, task="train")
    assert type(caught.value) is kind
    assert str(caught.value) == (message if kind is UsageError else "Failed to evaluate")
    assert starts == []
