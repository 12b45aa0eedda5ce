# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The code under its installed name, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.cli.self_test import write_case

Run = Callable[..., "subprocess.CompletedProcess[str]"]


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
