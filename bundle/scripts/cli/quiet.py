# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a command prints: its own lines, and nothing that a user can't act on."""

from __future__ import annotations

import logging
import os
import sys
import warnings

from ..own_name import PACKAGE

__all__ = ["be_quiet"]

_OWN = (PACKAGE, "__main__")
_TRAINERS = ("ignite.engine", "monai.handlers.StatsHandler")
_NOISE = ("Engine run", "Got new best metric", "Epoch[", "Key metric")


def be_quiet(*, verbose: bool = False) -> None:
    """Show own messages plainly on standard output, those of libraries only if they are errors.

    Called before anything else is imported: some libraries warn while they are imported.

    Args:
        verbose: show everything, with the time and the name of who says it.
    """
    logging.setLoggerClass(_PassingLogger)
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    shown = logging.StreamHandler(sys.stdout)
    root.addHandler(shown)
    root.setLevel(logging.INFO)
    if verbose:
        shown.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        return
    shown.setFormatter(_Plain())
    shown.addFilter(_is_for_users)
    warnings.filterwarnings("ignore")
    warnings.filterwarnings("default", module=rf"{PACKAGE}(\.|$)")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _is_for_users(record: logging.LogRecord) -> bool:
    """Own messages, a training's epochs, and errors of libraries."""
    if record.name.partition(".")[0] in _OWN:
        return True
    if record.name.startswith(_TRAINERS):
        text = record.getMessage()
        return record.levelno >= logging.ERROR or " Metrics -- " in text or not text.startswith(_NOISE)
    return record.levelno >= logging.ERROR


class _PassingLogger(logging.Logger):
    """The logger of a library: whatever handlers the library gives it, its messages go to the root's."""

    def addHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802, the base class's name
        """Take none."""

    def __setattr__(self, name: str, value: object) -> None:
        """Keep ``propagate`` on."""
        super().__setattr__(name, True if name == "propagate" else value)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"
