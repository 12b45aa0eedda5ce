# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a training is: the values that decide its result, so that a resume can't silently be another experiment.

The values come from the configuration (``scripts.apps.describe_experiment``): the sections that make up trainer and
validation, with plain values, and digests of the content that they read. Where files lie, on which device the training
runs and how many epochs it has are no part of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..files.atomic import write_json

__all__ = ["EXPERIMENT_FILE", "Experiment"]

EXPERIMENT_FILE = "experiment.json"
_CONTENT = ("content_sha256", "file_sha256", "items", "items_sha256", "shape", "tensor_sha256")
_MOST_DIFFERENCES = 8
_LONGEST_VALUE = 90


class Experiment:
    """The identity of a training.

    Args:
        values: JSON values, by name; nested ones are compared value by value.
        keys: dotted path within ``values`` -> name of the configuration's key that gives it, for messages.

    Raises:
        TypeError: for values that JSON doesn't know.
    """

    def __init__(self, values: Mapping[str, Any], keys: Mapping[str, str] | None = None) -> None:
        # what a file can't keep (tuples, numbers as keys) would differ from itself after a resume
        self.values: dict[str, Any] = json.loads(json.dumps(values, allow_nan=True))
        self.keys = dict(keys or {})

    @property
    def sha256(self) -> str:
        """Hash of the values, whatever their order."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()

    def as_json(self) -> str:
        """The values as a string, which checkpoints keep."""
        return json.dumps(self.values, sort_keys=True)

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``experiment.json``, readable, and return its path."""
        return write_json(Path(folder) / EXPERIMENT_FILE, {"sha256": self.sha256, **self.values})

    def title(self) -> str:
        """Say in a few words which training it is, such as "host ifa, data voc2012, text minilm, fold 0"."""
        named = {**self.values.get("names", {}), **{"fold": self.values.get("options", {}).get("fold")}}
        return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)

    def differences(self, saved: Mapping[str, Any]) -> list[str]:
        """Say what differs from the values of a checkpoint, a phrase each: "fold was 0, now 1".

        A key of the configuration that is used in several places is named once; where a component is another one
        altogether, its arguments are not listed.
        """
        before, after = (dict(_leaves(values)) for values in (saved, self.values))
        found: dict[str, str] = {}
        replaced: list[str] = []
        for path in sorted({**before, **after}, key=_in_order):
            old, new = before.get(path, _NOTHING), after.get(path, _NOTHING)
            if old == new or any(path.startswith(part) for part in replaced):
                continue
            if path.endswith("._target_"):
                replaced.append(path.removesuffix("_target_"))
            whole, _, last = path.rpartition(".")
            if last in _CONTENT:
                name = self.keys.get(whole, whole)
                found.setdefault(name, f"{name} has other content")
            else:
                name = self.keys.get(
                    path, path.removeprefix("options.").removeprefix("names.").removesuffix("._target_")
                )
                found.setdefault(name, f"{name} was {_shown(old)}, now {_shown(new)}")
        phrases = list(found.values())
        rest = len(phrases) - _MOST_DIFFERENCES
        return [*phrases[:_MOST_DIFFERENCES], *([f"and {rest} more"] if rest > 0 else [])]


class _Nothing:
    def __repr__(self) -> str:
        return "not there"


_NOTHING = _Nothing()


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, value) of everything that isn't a mapping, nor a list of containers."""
    if isinstance(value, Mapping):
        parts: Iterator[tuple[Any, Any]] = iter(value.items())
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        parts = iter(enumerate(value))
    else:
        yield path, value
        return
    for name, part in parts:
        yield from _leaves(part, f"{path}.{name}" if path else str(name))


def _in_order(path: str) -> tuple[int, bool, str]:
    """Names and options first, then components before their arguments; digests of content last."""
    kinds = ("names.", "options.")
    kind = next((index for index, start in enumerate(kinds) if path.startswith(start)), len(kinds))
    return kind + (path.rpartition(".")[2] in _CONTENT), not path.endswith("._target_"), path


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
