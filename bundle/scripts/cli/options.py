# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Every key of a workflow as an option of its command.

@with_keys("evaluating")
def evaluate(keys: dict[str, Any], host: Annotated[str, typer.Option()] = "ifa") -> None: ...

The command then takes ``--host``, ``--image_size`` and all other keys, and ``--train#dataset#cache_rate 0.5``, which
reaches inside.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Optional, get_type_hints

import typer
from typer.core import TyperCommand

from .errors import report
from .values import read_value
from .workflows import Key, keys_of

__all__ = ["KeyCommand", "KeyedCommand", "with_keys"]

KeyedCommand = Callable[..., None]

_PANEL = "Keys of the workflow"
_FURTHER = "further_keys"
_SWITCH_WORDS = ("true", "false", "yes", "no", "1", "0")


class KeyCommand(TyperCommand):
    """A command that takes any ``--key value``: keys with - for _, switches without a value, and further keys."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Bring the options to those that the command declares, then parse them."""
        known = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        switches = {f"--{key.name}" for key in getattr(self.callback, "keys", ()) if isinstance(key.default, bool)}
        return super().parse_args(ctx, _declared_options(args, known, switches))


def with_keys(workflow: str, *, without: Sequence[str] = ()) -> Callable[[KeyedCommand], KeyedCommand]:
    """Let a command take the keys of a workflow; it gets those that were given as its argument ``keys``.

    Args:
        workflow: name in :data:`~.workflows.WORKFLOWS`.
        without: keys that the command has other options for.
    """

    def decorate(command: KeyedCommand) -> KeyedCommand:
        signature, hints = inspect.signature(command), get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(annotation=hints[name])
            for name, parameter in signature.parameters.items()
            if name != "keys"
        ]
        taken = {parameter.name for parameter in own} | set(without)
        keys = {key.name: key for key in keys_of(workflow) if key.name not in taken}

        def run(**given: Any) -> None:
            found = {}
            for name, key in keys.items():
                text = given.pop(name)
                if text is not None:
                    found[name] = read_value(text, key.default)
            found |= dict(map(_split, given.pop(_FURTHER) or ()))
            try:
                command(keys=found, **given)
            except KeyboardInterrupt as interruption:
                raise typer.Exit(report(interruption)) from None

        parameters = [*own, *map(_option, keys.values()), _further()]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.keys = tuple(keys.values())  # type: ignore[attr-defined]
        return run

    return decorate


def _option(key: Key) -> inspect.Parameter:
    names = [f"--{key.name}", *(["-o"] if key.name == "output_dir" else [])]
    option = typer.Option(
        *names,
        help=_help(key),
        metavar="VALUE",
        rich_help_panel=_PANEL,
        show_default=False,
    )
    return inspect.Parameter(
        key.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[Optional[str], option]
    )


def _help(key: Key) -> str:
    shown = key.shown_default
    return key.meaning if not shown else rf"{key.meaning} \[default: {shown}]"


def _further() -> inspect.Parameter:
    option = typer.Option(
        "--set",
        help="Any other entry of the configuration, such as train#dataset#cache_rate=0.5; --ENTRY VALUE is the same.",
        metavar="KEY=VALUE",
        rich_help_panel=_PANEL,
    )
    return inspect.Parameter(
        _FURTHER, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[Optional[list[str]], option]
    )


def _split(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is no KEY=VALUE", param_hint="--set")
    return name, read_value(value)


def _declared_options(args: Sequence[str], known: set[str], switches: set[str]) -> list[str]:
    """Rewrite the words of a command line so that all options in it are declared ones."""
    found: list[str] = []
    waiting = list(args)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            return [*found, word, *waiting]
        if not word.startswith("--"):
            found.append(word)
            continue
        name, equals, value = word.partition("=")
        name = next((each for each in (name, f"--{name[2:].replace('-', '_')}") if each in known), name)
        if name in switches and not equals:
            has_value = bool(waiting) and waiting[0].lower() in _SWITCH_WORDS
            found += [name, waiting.pop(0) if has_value else "true"]
        elif name in known:
            found.append(f"{name}={value}" if equals else name)
        elif equals or waiting:
            found += ["--set", f"{name[2:]}={value if equals else waiting.pop(0)}"]
        else:
            found.append(name)  # the parser says that it isn't known
    return found
