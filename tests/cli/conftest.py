# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The command in this process, and the code under its installed name in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scripts.cli.app import app
from scripts.cli.self_test import write_case

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Started = list[dict[str, Any]]


def call(*words: str) -> tuple[int, str]:
    """Exit code and output, without colours, of a command on a wide screen."""
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "300"})
    return done.exit_code, re.sub(r"\x1b\[[0-9;]*m", "", done.output)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """What the commands would run: workflow, names of the overlays, keys and task."""
    runs: Started = []

    def run_workflow(workflow: str, overlays: list[Path], keys: dict[str, Any], *, task: str) -> None:
        assert all(path.is_file() for path in overlays)
        runs.append({"workflow": workflow, "overlays": [path.stem for path in overlays], "keys": keys, "task": task})

    for name in ("describe", "evaluate", "prepare", "studies", "train"):
        monkeypatch.setattr(sys.modules[f"scripts.cli.{name}"], "run_workflow", run_workflow)
    return runs


@pytest.fixture
def python(installed: dict[str, str], tmp_path: Path) -> Run:
    """Run Python code beside nothing else."""

    def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path,
            env=installed,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def segprompt(installed: dict[str, str], tmp_path: Path) -> Run:
    """Run the command in an empty folder."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "segprompt", *words],
            cwd=tmp_path,
            env=installed,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def drawn_case(tmp_path: Path) -> tuple[Path, Path]:
    """A drawn volume, and its annotation of one slice."""
    image, annotation, _ = write_case(tmp_path)
    return image, annotation
