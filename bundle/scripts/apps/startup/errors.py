# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The last line of a failed command says what is wrong.

MONAI wraps whatever a component or expression raises ("Failed to evaluate ConfigExpression …"), so that the cause
stands in the middle of a long traceback.
"""

from __future__ import annotations

import sys
from types import TracebackType

from .leaving import leave_quickly

__all__ = ["UsageError", "cause_of", "tell_cause_last"]

_WRAPPERS = ("Failed to evaluate", "Failed to instantiate component", "applying transform")


class UsageError(ValueError):
    """What was asked for doesn't exist or doesn't go together; nothing has been run."""


def tell_cause_last() -> None:
    """Let a command that ends in an error print, below the traceback, the error that MONAI wrapped.

    For ``initialize`` of a workflow. Only what nothing catches is concerned, so the Python API raises as before. The
    end of the process is made a quick one, too (:func:`~.leaving.leave_quickly`).
    """
    leave_quickly()
    if sys.excepthook is not _tell:
        sys.excepthook = _tell


def cause_of(error: BaseException) -> BaseException:
    """Unwrap an error from MONAI's wrappers; one without a wrapper is returned as it is."""
    while isinstance(error, RuntimeError) and str(error).startswith(_WRAPPERS) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    sys.__excepthook__(kind, error, traceback)
    cause = cause_of(error)
    if cause is not error:
        print(f"\n{type(cause).__name__}: {cause}", file=sys.stderr)
