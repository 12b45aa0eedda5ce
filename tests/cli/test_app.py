# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The command as a whole: help, lists, exit codes."""

from __future__ import annotations

import re

import pytest

from scripts.version import version

from .conftest import call

COMMANDS = ("segment", "evaluate", "train", "compare", "table", "prepare", "describe", "list", "keys", "doctor")


def test_help_names_every_command() -> None:
    code, text = call("--help")
    assert code == 0
    for name in COMMANDS:
        assert re.search(rf"^\W*{name} +\w", text, re.MULTILINE), name


def test_help_imports_nothing_heavy(python) -> None:
    heavy = "{'torch', 'monai', 'numpy', 'timm', 'nibabel', 'scipy', 'cv2'}"
    code = (
        "import sys\nfrom segprompt.cli.app import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    assert python(code).stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    code, text = call(name, "--help")
    assert code == 0
    assert "Usage:" in text


@pytest.mark.parametrize("words", [["nothing"], ["list", "nothing"], ["train"], ["segment", "missing.nii.gz"]])
def test_wrong_use_ends_with_2(words: list[str]) -> None:
    assert call(*words)[0] == 2


def test_a_mistyped_key_is_refused_as_by_the_workflow(segprompt) -> None:
    done = segprompt("train", "ifa", "--epoch", "1")
    assert done.returncode == 2
    assert done.stderr == "error: unknown ids in the configuration:\n  epoch: did you mean 'epochs'?\n"
    assert re.fullmatch(r"segprompt \S+: train ifa on synthetic on \S+, 1 threads\n", done.stdout)


def test_a_traceback_on_request(segprompt) -> None:
    done = segprompt("table", "a=missing", "--traceback")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no evaluation result missing/summary.json")
    assert "write_table" in done.stderr


def test_the_version() -> None:
    assert call("--version") == (0, f"segprompt {version()}\n")


def test_without_a_word_there_is_help() -> None:
    assert "Usage: " in call()[1]
