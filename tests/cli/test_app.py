# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The command as a whole: help, lists, exit codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.cli.app import app
from scripts.cli.choices import chosen
from scripts.cli.errors import UsageError
from scripts.cli.workflows import OVERLAYS, WORKFLOWS, keys_of, overlays_of

COMMANDS = ("segment", "evaluate", "train", "compare", "table", "prepare", "describe", "list", "keys", "doctor")
WIDE = {"COLUMNS": "300"}


def call(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words), env=WIDE)
    return done.exit_code, re.sub(r"\x1b\[[0-9;]*m", "", done.output)


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


@pytest.mark.parametrize("kind", OVERLAYS)
def test_lists_are_those_of_the_configs(kind: str, bundle_root: Path) -> None:
    code, text = call("list", kind)
    assert code == 0
    for path in (bundle_root / "configs" / OVERLAYS[kind]).glob("*.json"):
        assert re.search(rf"^{path.stem}\b", text, re.MULTILINE)
    if kind == "hosts":
        assert re.search(r"^ifa +yes +yes +self-support", text, re.MULTILINE)
        assert re.search(r"^matching +no +no +dense", text, re.MULTILINE)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_keys_are_those_of_the_configs(workflow: str) -> None:
    code, text = call("keys", workflow)
    assert code == 0
    for key in keys_of(workflow):
        assert re.search(rf"^{key.name}\b.*{re.escape(key.meaning[:20])}", text, re.MULTILINE), key.name


def test_keys_of_overlays_name_them() -> None:
    _, text = call("keys", "overlays")
    assert re.search(r"^position_prior +hosts/aligned_matching, hosts/matching +how much", text, re.MULTILINE)


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
