# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Values from the command line are compared with the types of their defaults, once, for every workflow and key.

The command line leaves words as text: ``--save_probability false`` would be the text "false", which counts as true. A
key's default, in the shipped files and overlays, says what it holds; words for true, false and nothing, and numbers in
quotes, are read accordingly, and anything else is refused before something is built.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.bundle.utils import ID_SEP_KEY

from .plain_paths import restored_paths

__all__ = ["Kinds", "kinds_of", "read_override_types", "read_value", "shipped_overlays", "typed_values"]

_WORDS = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
    **dict.fromkeys(("null", "none", "nil"), None),
}
_BOOLEANS = {"1": True, "0": False}
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_ENDINGS = ("_dir", "_file", "_root", "_weights", "_list", "_table")
_TEXT = ("image", "annotation", "checkpoint", "series_uid", "mirror", "model", "data_root", "dataset", "subject")
# Whole numbers, or null by default.
_WHOLE_KEYS = ("slice_axis", "num_shots", "num_episodes", "image_size", "fold", "ignore_value", "channel")
# Given by default, and null is a choice of its own.
_OPTIONAL = ("neck_channels",)
_EXAMPLES = {"bool": "true or false", "int": "a whole number", "float": "a number", "text": "text", "list": "a list"}

Kinds = frozenset[str]
"""What a key may hold: some of bool, int, float, text, list, none, device, and free (whatever an expression gives)."""


def shipped_overlays(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Content of the overlays, which lie in the folders below a workflow's own files."""
    folder = files[0].parent
    return [ConfigParser.load_config_file(file) for file in sorted(folder.glob("*/*.json"))]


def kinds_of(defaults: Mapping[str, Iterable[Any]]) -> dict[str, Kinds]:
    """Key -> kinds, from the values that the shipped files give it."""
    kinds = {}
    for key, values in defaults.items():
        found = {_kind(value) for value in values}
        if found <= {"none", "free"}:
            found |= {"text"} if key in _TEXT or key.endswith(_ENDINGS) else set()
            found |= {"int"} if key in _WHOLE_KEYS else set()
        found |= {"none"} if key in _OPTIONAL else set()
        if key == "device":
            found = {"device", "none"}
        kinds[key] = frozenset(found)
    return kinds


def typed_values(config: Mapping[str, Any], defaults: Mapping[str, Iterable[Any]]) -> dict[str, Any]:
    """Read the top-level values of a configuration by the types of their defaults.

    Args:
        config: the merged configuration.
        defaults: key -> the values that the shipped files give it.

    Returns:
        Key -> value, of those that change.

    Raises:
        ValueError: one for all values of a wrong type; each line has the key, the value and what was expected.
    """
    kinds = kinds_of(defaults)
    changed: dict[str, Any] = {}
    problems = []
    for key, original in config.items():
        value = _expanded(original)
        if value != original:
            changed[key] = value
        given = [default for default in defaults.get(key, ()) if type(default) is type(value)]
        if key not in kinds or value in given:
            continue
        try:
            typed = read_value(value, kinds[key])
        except ValueError as error:
            problems.append(f"{key} is {value!r}, expected {error}")
            continue
        if typed is not value and (typed != value or type(typed) is not type(value)):
            changed[key] = typed
    if problems:
        raise ValueError("; ".join(problems))
    return changed


def read_override_types(parser: ConfigParser, base: Mapping[str, Any], overlays: Iterable[Mapping[str, Any]]) -> None:
    """Replace the values of a running configuration by what they mean.

    Args:
        parser: of the configuration; parsed anew where a value changes.
        base: the merged files of the workflow.
        overlays: content of every shipped overlay, each of which may give a key another kind of value.

    Raises:
        ValueError: as `typed_values`.
    """
    defaults: dict[str, list[Any]] = {}
    for content in (base, *overlays):
        for key, value in content.items():
            defaults.setdefault(key, []).append(value)
    paths = restored_paths(parser.get())
    config = {**parser.get(), **paths}
    changes = {**paths, **typed_values(config, defaults), **_typed_leaves(config, base)}
    for key, value in changes.items():
        parser[key] = value
    if changes:
        parser.parse(reset=True)


def read_value(value: Any, kinds: Kinds) -> Any:
    """Bring one value to the first of its key's kinds that fits.

    Raises:
        ValueError: when none fits; the message says what would.
    """
    if isinstance(value, dict) or _is_expression(value):
        return value
    word = value.strip().lower() if isinstance(value, str) else None
    if value is None or _WORDS.get(word or "", True) is None:
        if "none" in kinds or "free" in kinds or not kinds:
            return None
        raise ValueError(_expected(kinds))
    if not kinds - {"none", "free"}:
        return _WORDS.get(word or "", value)
    for kind, read in _READERS.items():
        if kind in kinds:
            try:
                return read(value)
            except (TypeError, ValueError):
                continue
    if "free" in kinds:
        return value
    raise ValueError(_expected(kinds))


def _typed_leaves(config: Any, base: Any, path: str = "") -> dict[str, Any]:
    """Texts below the top level whose default is a number or a boolean: id -> value."""
    changed = {}
    for key in config if isinstance(config, dict) and isinstance(base, dict) else ():
        default, value, id_ = base.get(key), config[key], f"{path}{key}"
        if isinstance(default, dict):
            changed.update(_typed_leaves(value, default, f"{id_}{ID_SEP_KEY}"))
        elif path and isinstance(value, str) and _kind(default) in ("bool", "int", "float"):
            kinds = frozenset({"bool"} if isinstance(default, bool) else {"int", "float"}) | {"none"}
            try:
                changed[id_] = read_value(value, kinds)
            except ValueError as error:
                raise ValueError(f"{id_.replace(ID_SEP_KEY, '#')} is {value!r}, expected {error}") from None
    return {id_: value for id_, value in changed.items() if not _is_expression(value)}


def _expanded(value: Any) -> Any:
    """A path that starts at the home folder; a shell leaves ``~`` behind ``=`` as it is."""
    if isinstance(value, (list, tuple)):
        return [_expanded(part) for part in value] if any(_is_at_home(part) for part in value) else value
    return os.path.expanduser(value) if _is_at_home(value) else value


def _is_at_home(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("~") and (value == "~" or "/" in value)


def _kind(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return type(value).__name__
    if isinstance(value, list):
        return "list"
    return "text" if isinstance(value, str) and not _is_expression(value) else "free"


def _is_expression(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("$", "@", "%"))


def _read_bool(value: Any) -> bool:
    word = str(value).strip().lower()
    read = _WORDS.get(word, _BOOLEANS.get(word))
    if not isinstance(read, bool):
        raise ValueError
    return read


def _read_int(value: Any) -> int:
    if isinstance(value, bool) or not _WHOLE.fullmatch(str(value).strip()):
        raise ValueError
    return int(float(str(value)))


def _read_float(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    number = float(value)
    if number != number or abs(number) == float("inf"):
        raise ValueError
    return value if isinstance(value, int) else number


def _read_list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, (list, tuple)):
        return list(value)
    raise ValueError


def _read_text(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError
    return list(value) if isinstance(value, (list, tuple)) else str(value)


def _read_device(value: Any) -> str:
    """An expression for a device's plain name."""
    name = str(value)
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError
    return f"$torch.device({name!r})"


_READERS: dict[str, Callable[[Any], Any]] = {
    "bool": _read_bool,
    "int": _read_int,
    "float": _read_float,
    "list": _read_list,
    "device": _read_device,
    "text": _read_text,
}


def _expected(kinds: Kinds) -> str:
    if "device" in kinds:
        found = "a cuda device" if torch.cuda.is_available() else "no cuda device was found, so cpu"
        return f"the name of a torch.device that is there ({found}), such as --device cpu"
    known = [shown for kind, shown in _EXAMPLES.items() if kind in kinds]
    return " or ".join(known + ["null"] * ("none" in kinds))
