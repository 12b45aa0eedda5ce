# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The command ``segprompt``.

Nothing heavy is imported here or by the modules of the commands: torch, MONAI and the like are imported when a command
that needs them runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ..apps.startup.leaving import leave_quickly
from ..version import version
from .describe import describe
from .doctor import doctor
from .errors import report
from .evaluate import evaluate
from .keys import show_keys
from .list_command import list_overlays
from .options import KeyCommand
from .prepare import prepare
from .quiet import be_quiet
from .segment import segment
from .studies import compare, table
from .train import train

__all__ = ["app", "main"]

_TRACEBACK, _VERBOSE = "--traceback", "--verbose"

app = typer.Typer(
    name="segprompt",
    help="Segment volumes and pictures from one annotated slice, a few examples, or a sentence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (segment, evaluate, train, compare, prepare, describe):
    app.command(cls=KeyCommand)(command)
app.command()(table)
app.command("list")(list_overlays)
app.command("keys")(show_keys)
app.command()(doctor)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        print(f"segprompt {version()}")
        raise typer.Exit


@app.callback()
def _whole(
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
    traceback: Annotated[bool, typer.Option(_TRACEBACK, help="Show where an error came from.")] = False,
    verbose: Annotated[bool, typer.Option(_VERBOSE, help="Show the messages of all libraries.")] = False,
) -> None:
    """What all commands have; ``main`` reads the two switches, so that they may stand anywhere."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and end the process with its exit code.

    Args:
        arguments: words after the program's name; those of this process if None.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    be_quiet(verbose=_VERBOSE in words)
    leave_quickly()
    try:
        app([word for word in words if word not in (_TRACEBACK, _VERBOSE)], prog_name="segprompt")
    except Exception as error:
        sys.exit(report(error, with_traceback=_TRACEBACK in words))
