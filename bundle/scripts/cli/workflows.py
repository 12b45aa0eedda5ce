# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the shipped configurations offer to a command: workflows, their keys with defaults, and overlays.

Read from the JSON files alone, so that ``--help`` answers without MONAI or torch. What a key or an overlay is for
stands in ``descriptions.json``.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ..files.bundle_root import CONFIGS
from ..files.read_json import read_json_object

__all__ = [
    "OVERLAYS",
    "WORKFLOWS",
    "Key",
    "Overlay",
    "Workflow",
    "keys_of",
    "overlay_keys",
    "overlays_of",
    "workflow_files",
]

_DESCRIPTIONS = Path(__file__).with_name("descriptions.json")
_INFERERS = "inferers"


class Workflow(NamedTuple):
    """One of the bundle's workflows."""

    files: tuple[str, ...]
    """its own configuration files, in the order in which they override each other"""
    run_id: str
    """the entry that runs it"""


class Key(NamedTuple):
    """A key that a user may give a value to."""

    name: str
    default: Any
    """as the configuration says it; a string that begins with $ is an expression"""
    meaning: str

    @property
    def shown_default(self) -> str:
        """The default in words; empty where it is computed, as the meaning then says."""
        if self.default is None:
            return "none"
        if isinstance(self.default, str) and self.default.startswith(("$", "@")):
            return _shown_expression(self.default.removeprefix("$"))
        if isinstance(self.default, bool):
            return str(self.default).lower()
        if isinstance(self.default, list):
            return ",".join(map(str, self.default)) or "none"
        return str(self.default)


class Overlay(NamedTuple):
    """A file that makes one choice."""

    name: str
    about: str
    trains: bool | None
    """whether it brings weights that training changes; None where that isn't a question"""
    takes_text: bool | None
    """whether a text can guide it; None where that isn't a question"""


WORKFLOWS = {
    "training": Workflow(("train.json",), "training"),
    "evaluating": Workflow(("train.json", "evaluate.json"), "evaluating"),
    "inference": Workflow(("inference.json",), "run"),
    "compare": Workflow(("compare.json",), "run"),
    "prepare": Workflow(("prepare.json",), "run"),
    "describe": Workflow(("describe.json",), "run"),
}

OVERLAYS = {
    "hosts": "hosts",
    "backbones": "backbones",
    "data": "data",
    "text": "text",
    "refinements": "refinement",
    "adaptations": "adaptation",
    "recipes": "recipes",
    "inferers": _INFERERS,
}
"""What ``segprompt list`` lists -> folder of ``configs``."""


def workflow_files(workflow: str) -> list[Path]:
    """The own configuration files of a workflow."""
    return [CONFIGS / name for name in WORKFLOWS[workflow].files]


@cache
def keys_of(workflow: str) -> tuple[Key, ...]:
    """The keys of a workflow, in the order of its files, as ``segprompt keys`` and ``--help`` show them.

    A key is a top-level entry with a plain value or an expression that ``descriptions.json`` describes; components and
    sections are for overlays.
    """
    described = _descriptions()["keys"]
    content: dict[str, Any] = {}
    for path in workflow_files(workflow):
        content.update(read_json_object(path))
    keys = []
    for name, default in content.items():
        meaning = described.get(workflow, {}).get(name) or described["every"].get(name)
        if meaning is not None:
            keys.append(Key(name, default, str(meaning)))
    return tuple(keys)


def overlays_of(kind: str) -> tuple[Overlay, ...]:
    """The shipped overlays of a kind (a key of :data:`OVERLAYS`), by name."""
    folder = OVERLAYS[kind]
    described = _descriptions()["overlays"].get(folder, {})
    found = []
    for path in sorted((CONFIGS / folder).glob("*.json")):
        about = described.get(path.stem, {})
        found.append(Overlay(path.stem, about.get("about", ""), about.get("trains"), about.get("text")))
    return tuple(found)


def overlay_keys() -> dict[str, tuple[tuple[str, ...], str]]:
    """Key -> (overlays that bring it, such as ``hosts/ifa``; its meaning)."""
    found: dict[str, tuple[tuple[str, ...], str]] = {}
    described = _descriptions()["overlay_keys"]
    for folder in OVERLAYS.values():
        for path in sorted((CONFIGS / folder).glob("*.json")):
            for name in read_json_object(path):
                if name in described:
                    overlays = found.get(name, ((), ""))[0]
                    found[name] = ((*overlays, f"{folder}/{path.stem}"), described[name])
    return found


def _shown_expression(expression: str) -> str:
    """A path that is put together, with its parts in angle brackets; empty for any other expression."""
    parts = [re.fullmatch(r"'([^']*)'|@(\w+)|str\(@(\w+)\)", part.strip()) for part in expression.split(" + ")]
    if not all(parts):
        return ""
    shown = "".join(part[1] or f"<{part[2] or part[3]}>" for part in parts if part is not None)
    return shown.removeprefix("<bundle_root>/")


@cache
def _descriptions() -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = read_json_object(_DESCRIPTIONS)
    return content
