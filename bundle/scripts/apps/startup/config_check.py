# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Start-up checks of a configuration: ids that nothing knows, folders that aren't there.

MONAI takes a mistyped override without a word (``--epoch 1`` adds an unused id ``epoch``, and all epochs run).
``refuse_unknown_ids``, called by the first entry of ``initialize``, refuses it before anything is built.
"""

from __future__ import annotations

import inspect
import pydoc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle.config_item import ConfigComponent
from monai.bundle.reference_resolver import ReferenceResolver
from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS, ID_SEP_KEY, MERGE_KEY

from ...files.bundle_root import CONFIGS
from .override_types import read_override_types, shipped_overlays
from .running_config import running_config

__all__ = ["UNKNOWN_IDS", "find_file", "refuse_unknown_ids", "unknown_ids"]

UNKNOWN_IDS = "unknown ids in the configuration"

_ROOTS = ("initialize", "run", "finalize")


def refuse_unknown_ids(*base_files: str) -> None:
    """Refuse ids of the running configuration that neither the shipped files nor a reference know.

    Called by an expression of the configuration: `"initialize": ["$scripts.apps.refuse_unknown_ids('train.json')",
    …]`.

    Args:
        base_files: names of the shipped files that make up the workflow (``train.json``, or ``train.json`` and
            ``evaluate.json``). They are read beside the first config file of the run, or else from the bundle's
            ``configs/``.

    Raises:
        ValueError: one for all unknown ids, each with the nearest known name or the file it belongs to.
        RuntimeError: when no configuration is running.
    """
    running = running_config("refuse_unknown_ids")
    files = [find_file(name, running.folder) for name in base_files]
    base = ConfigParser.load_config_files([str(file) for file in files])
    problems = unknown_ids(
        running.parser.get(),
        base,
        roots=running.roots,
        other_files=_other_files(files),
        locate=lambda target: _full_path(target, running.parser),
    )
    if problems:
        raise ValueError(f"{UNKNOWN_IDS}:\n" + "\n".join(f"  {problem}" for problem in problems))
    read_override_types(running.parser, base, shipped_overlays(files))


def unknown_ids(
    config: Mapping[str, Any],
    base: Mapping[str, Any],
    *,
    roots: Sequence[str] = _ROOTS,
    other_files: Mapping[str, set[str]] | None = None,
    locate: Callable[[str], str] = str,
) -> list[str]:
    """Say what in ``config`` is unknown, a sentence each; builds nothing.

    - A top-level id is known when ``base`` has it, or when a known id refers to it with @ (or holds a copy of it made
      by %).
    - A plain section that holds components (``train``, ``validate``) may have the keys it has in ``base``, and
      referenced ones; a section that is referred to as a whole is data, and free.
    - Under a ``_target_``, argument names must be in its signature, unless it takes any. Only targets that this run
      builds are imported for that (or were imported already); disabled ones are not looked at.

    Args:
        config: the merged configuration, its % macros replaced.
        base: the merged shipped files.
        roots: ids that the run evaluates; what they refer to is what will be built.
        other_files: further shipped files -> their top-level ids, for the messages.
        locate: a ``_target_`` -> its dotted path.
    """
    tracking = DEFAULT_EXP_MGMT_SETTINGS["mlflow"]["configs"]  # what `--tracking mlflow` adds
    reached = _reached_from_known(config, {*base, ConfigParser.meta_key, *tracking})  # type: ignore[misc]
    problems = [
        f"{id_}: {_belongs(id_, other_files or {}) or _nearest(id_, list(base))}"
        for id_ in config
        if id_ not in reached
    ]
    references = {reference for value in config.values() for reference in _references(value)}
    for id_, section in config.items():
        if id_ in base and _is_section(base[id_]) and isinstance(section, Mapping) and id_ not in references:
            for key in section:
                if key not in base[id_] and not key.startswith("_") and f"{id_}{ID_SEP_KEY}{key}" not in references:
                    problems.append(f"{id_}#{key}: {_nearest(key, list(base[id_]))}")
    built = _built(config, roots)
    for id_, component in _components(config):
        problems += _unknown_arguments(id_, component, is_built=_is_within(id_, built), locate=locate)
    return problems


def find_file(name: str, folder: Path | None) -> Path:
    """Find a shipped configuration: beside the first file of the run, or else among the bundle's own."""
    places = [folder / name] if folder is not None else []
    places.append(CONFIGS / name)
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"no shipped configuration {name} (looked for {', '.join(map(str, places))})")


def _other_files(files: Sequence[Path]) -> dict[str, set[str]]:
    folder = files[0].parent if files else CONFIGS
    others = {}
    for file in sorted(folder.rglob("*.json")):
        if file not in files and file.name != "metadata.json":
            content = ConfigParser.load_config_file(file)
            others[file.relative_to(folder).as_posix()] = {
                ReferenceResolver.split_id(key)[0].removeprefix(MERGE_KEY) for key in content
            }
    return others


def _full_path(target: str, parser: ConfigParser) -> str:
    module = parser.locator.get_component_module_name(target)
    if isinstance(module, list):
        module = module[0]  # as MONAI does
    return target if module is None else f"{module}.{target}"


def _belongs(id_: str, other_files: Mapping[str, set[str]]) -> str:
    files = [file for file, ids in other_files.items() if id_ in ids]
    return f"belongs to {' and '.join(files[:3])}, which is not part of this run" if files else ""


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else "nothing has this name or refers to it"


def _reached_from_known(config: Mapping[str, Any], known: set[str]) -> set[str]:
    reached, waiting = set(), [id_ for id_ in config if id_ in known]
    while waiting:
        id_ = waiting.pop()
        if id_ in reached or id_ not in config:
            continue
        reached.add(id_)
        waiting += [ReferenceResolver.split_id(reference)[0] for reference in _references(config[id_])]
        waiting += [other for other in config if other not in reached and _holds_copy(config[id_], config[other])]
    return reached


def _holds_copy(value: Any, original: Any) -> bool:
    """Whether % may have copied ``original``, or a part of it, into ``value``; a macro leaves no other trace."""
    parts = [part for part in _containers(original) if part]
    return any(part in parts for part in _containers(value))


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from _containers(part)


def _references(value: Any) -> Iterator[str]:
    """Yield the ids (with ::) that the strings in ``value`` refer to with @."""
    if isinstance(value, str):
        yield from ReferenceResolver.match_refs_pattern(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _references(part)


def _is_section(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and not ConfigComponent.is_instantiable(value)
        and any(True for _ in _components(value))
    )


def _components(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (id, component) for everything with a ``_target_``, but for what is disabled."""

    def walk(value: Any, id_: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if ConfigComponent.is_instantiable(value):
            if str(value.get("_disabled_", False)).strip().lower() != "false":  # true, or decided at run time
                return
            yield id_, value
        if isinstance(value, Mapping | list):
            for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
                yield from walk(part, f"{id_}{ID_SEP_KEY}{key}" if id_ else str(key))

    return walk({key: value for key, value in config.items() if key != ConfigParser.meta_key}, "")


def _built(config: Mapping[str, Any], roots: Sequence[str]) -> set[str]:
    """Ids (with ::) that evaluating ``roots`` builds: themselves and, again and again, what they refer to."""
    built: set[str] = set()
    waiting = list(roots)
    while waiting:
        id_ = waiting.pop()
        if id_ in built:
            continue
        built.add(id_)
        value: Any = config
        for key in ReferenceResolver.split_id(id_):
            try:
                value = value[int(key)] if isinstance(value, list) else value[key]
            except (KeyError, IndexError, ValueError, TypeError):
                value = None  # MONAI tells a reference to nothing by itself
        waiting += _references(value)
    return built


def _is_within(id_: str, ids: set[str]) -> bool:
    parts = id_.split(ID_SEP_KEY)
    return any(ID_SEP_KEY.join(parts[:length]) in ids for length in range(1, len(parts) + 1))


def _unknown_arguments(
    id_: str, component: Mapping[str, Any], *, is_built: bool, locate: Callable[[str], str]
) -> list[str]:
    target = component["_target_"]
    if not isinstance(target, str) or target.startswith(("$", "@")):
        return []
    path = locate(target)
    if not is_built and path.rpartition(".")[0] not in sys.modules:
        return []
    names = _argument_names(path)
    if names is None:
        return []
    shown = id_.replace(ID_SEP_KEY, "#")
    return [
        f"{shown}#{key}: {path} takes no {key!r}; {_nearest_argument(key, names)}"
        for key in component
        if not key.startswith("_") and key not in names
    ]


def _nearest_argument(key: str, names: Sequence[str]) -> str:
    near = get_close_matches(key, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(names) or 'nothing'}"


def _argument_names(path: str) -> list[str] | None:
    """Names that the callable at ``path`` takes by keyword; None when it takes any, or can't be asked."""
    try:
        target = pydoc.locate(path)
    except pydoc.ErrorDuringImport:
        return None  # MONAI tells it when it builds the component
    if not callable(target):
        return None
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [
        parameter.name
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
