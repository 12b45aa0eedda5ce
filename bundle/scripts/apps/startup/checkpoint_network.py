# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A checkpoint brings its own network: evaluation and inference need no overlay for host, backbone and text.

``network_of_checkpoint``, an entry of ``initialize``, replaces the sections of the running configuration that build the
network by those that the checkpoint was trained with, before anything is built. A section or key that the run gives
itself must say the same: what contradicts is refused. Defaults of the shipped files, marked by a ``_desc_``, give way.

A checkpoint is data, and must not run code of its choice: ``shipped_parts.refuse_foreign`` says what is taken from it.
A network of somebody's own parts needs the overlay that names them, and is then built from that overlay.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle.config_item import ConfigComponent
from monai.bundle.reference_resolver import ReferenceResolver

from ...files.digest import file_digest
from ...handlers.weights import read_checkpoint
from .config_check import find_file
from .network_sections import BACKBONE, NAMES, NetworkSections
from .own_config import own_names
from .own_names import full_name, own_name
from .running_config import running_config
from .shipped_parts import is_syntax, refuse_foreign, shipped_parts, targets_of

__all__ = ["network_of_checkpoint"]

_ABSENT = object()
_NO_ARGUMENT = ("_desc_", "_disabled_", "_requires_")

logger = logging.getLogger(__name__)


def network_of_checkpoint(*base_files: str) -> None:
    """Take the network of the running configuration from its ``checkpoint``, where that says which one it is of.

    Nothing happens without a checkpoint, for one that holds weights alone, or where ``network_from_checkpoint`` is
    false.

    Args:
        base_files: names of the shipped files that make up the workflow, see ``refuse_unknown_ids``.

    Raises:
        ValueError: when the run gives a host, a backbone, a text or an option of theirs that contradicts, with both
            values; when the checkpoint brings something that isn't this bundle's own; or when its network is one that
            only an overlay builds, and the run doesn't name it.
        FileNotFoundError: for a checkpoint, or a file that its network needs, that isn't there.
    """
    running = running_config("network_of_checkpoint")
    parser = running.parser
    path = _checkpoint_path(parser)
    if path is None or not parser.get("network_from_checkpoint", True):
        return
    stored = read_checkpoint(path).get("network")
    if not isinstance(stored, str):
        logger.info("%s holds weights alone: the configuration says which network they are of", path)
        return
    kept = _read(stored, path)
    files = [str(find_file(name, running.folder)) for name in base_files]
    default = own_names(ConfigParser.load_config_files(files))
    _Merging(path, parser.get(), default, kept).apply()
    parser.parse(reset=True)
    logger.info("network as in %s: %s", path, ", ".join(f"{key} {name}" for key, name in kept.names.items()))


def _checkpoint_path(parser: ConfigParser) -> str | None:
    raw = parser.get("checkpoint", None)
    if isinstance(raw, str) and any(each.startswith("network") for each in ReferenceResolver.match_refs_pattern(raw)):
        return None  # chosen by the network: the shipped weights
    path = None if raw is None else parser.get_parsed_content("checkpoint")
    return None if path is None else str(path)


def _read(stored: str, path: str) -> NetworkSections:
    try:
        kept = NetworkSections(**json.loads(stored))
        return kept._replace(sections={str(id_): section for id_, section in kept.sections.items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: what it says about its network can't be read ({error})") from error


class _Merging:
    """Brings the sections of a checkpoint into a configuration."""

    def __init__(self, path: str, config: dict[str, Any], default: Mapping[str, Any], kept: NetworkSections) -> None:
        self.path = path
        self.config = config
        self.default = default
        self.kept = kept

    def apply(self) -> None:
        if not self.kept.sections:
            self._check_overlay()
        contradictions: list[str] = []
        taken: dict[str, Any] = {}
        backbone = _at(self.config, BACKBONE)
        if BACKBONE not in self.kept.sections and ConfigComponent.is_instantiable(backbone):
            contradictions.append(f"network_def#backbone is as it came in the checkpoint, {_shown(backbone)} here")
        for id_, section in self.kept.sections.items():
            contradictions += self._contradictions(id_, section)
            if not self._is_given_as_own(id_, section):
                refuse_foreign(section, id_, self.path)
                taken[id_] = self._with_files(section, id_)
        if contradictions:
            raise ValueError(
                f"the configuration contradicts {self.path}: {'; '.join(contradictions)}. Leave host, backbone and "
                "text to the checkpoint, or let network_from_checkpoint False take the configuration's network"
            )
        for id_, section in taken.items():
            self._set(id_, own_names(_in_full(section)))
        for name in NAMES:
            if is_syntax(self.kept.names.get(name)):
                raise ValueError(f"{self.path}: its {name} {self.kept.names[name]!r} is an expression, expected a name")
            if name in self.kept.names and self.config.get(name) == self.default.get(name):
                self.config[name] = str(self.kept.names[name])
        if not self.kept.encodes and self.config.get("encode_transforms") == self.default.get("encode_transforms"):
            self.config["encode_transforms"] = []

    def _check_overlay(self) -> None:
        trained, here = self.kept.names.get("host_name"), self.config.get("host_name")
        if trained != here:
            raise ValueError(
                f"{self.path} is of {trained!r}, the configuration of {here!r}: give the overlay that it was trained "
                "with, one of configs/language, or let network_from_checkpoint False take the configuration's network"
            )

    def _contradictions(self, id_: str, section: Any) -> list[str]:
        given, default = _at(self.config, id_), _at(self.default, id_)
        if given is _ABSENT or not (ConfigComponent.is_instantiable(given) or given is None):
            return []  # a reference such as @backbone_def, which is looked at by itself
        is_default = isinstance(given, Mapping) and "_desc_" in given
        found = dict(_leaves(given, self.config))
        usual = dict(_leaves(default, self.default)) if is_default else {}
        if is_default and found == usual:
            return []
        name = id_.replace("::", "#")
        if given is None or section is None:
            if (given is None) == (section is None):
                return []
            return [f"{name} is {_shown(section)} in the checkpoint, {_shown(given)} here"]
        told = []
        stored = dict(_leaves(section, {}))
        for key in sorted({**found, **stored}, key=lambda key: (not key.endswith("_target_"), key)):
            here, there = found.get(key), stored.get(key)
            if _is_derived(key, found) or _is_derived(key, stored) or (is_default and here == usual.get(key)):
                continue
            if here != there and not self._is_same_file(f"{id_}.{key}", here):
                told.append(f"{name}#{key.replace('.', '#')} is {there!r} in the checkpoint, {here!r} here")
                if key == "_target_":
                    break
        return told

    def _is_same_file(self, path: str, here: Any) -> bool:
        file = self.kept.files.get(path)
        if file is None or not isinstance(here, str) or not Path(here).expanduser().is_file():
            return False
        return file_digest(Path(here).expanduser()) == file["sha256"]

    def _is_given_as_own(self, id_: str, section: Any) -> bool:
        """Whether the section is of somebody's own parts, and the configuration names the same."""
        given = _at(self.config, id_)
        targets = {target for target, _ in targets_of(section)}
        own = targets - shipped_parts().targets
        return bool(own) and isinstance(given, Mapping) and targets == {own_name(t) for t, _ in targets_of(given)}

    def _with_files(self, section: Any, id_: str) -> Any:
        """Replace files that the run gives, and refuse those that are missing."""
        changed = json.loads(json.dumps(section))
        given = dict(_leaves(_at(self.config, id_), self.config))
        for path, file in self.kept.files.items():
            if not path.startswith(f"{id_}."):
                continue
            key = path.removeprefix(f"{id_}.")
            here = given.get(key)
            if isinstance(here, str) and not is_syntax(here) and Path(here).expanduser().is_file():
                _set_leaf(changed, key, here)
            elif not Path(str(file["path"])).is_file():
                raise FileNotFoundError(
                    f"{self.path} was trained with the file {file['path']} ({id_.replace('::', '#')}#{key}, SHA-256 "
                    f"{file['sha256'][:12]}…), which isn't there: put it there, or give its place with the overlay or "
                    "key that names it"
                )
        return changed

    def _set(self, id_: str, section: Any) -> None:
        *parents, last = ReferenceResolver.split_id(id_)
        place = self.config
        for key in parents:
            place = place[key]
        place[last] = section


def _at(config: Mapping[str, Any], id_: str) -> Any:
    value: Any = config
    for key in ReferenceResolver.split_id(id_):
        value = value.get(key, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    return value


def _leaves(section: Any, config: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, value) of a section's arguments; what refers to a plain key is that key's value."""
    if isinstance(section, Mapping):
        for key, part in section.items():
            if key == "_target_":
                yield (f"{path}.{key}" if path else key), own_name(str(part))
            elif key not in _NO_ARGUMENT:
                yield from _leaves(part, config, f"{path}.{key}" if path else str(key))
    elif isinstance(section, list) and any(isinstance(part, Mapping) for part in section):
        for index, part in enumerate(section):
            yield from _leaves(part, config, f"{path}.{index}")
    elif isinstance(section, str) and section.startswith("@"):
        value = _at(config, section[1:])
        is_plain = value is not _ABSENT and not isinstance(value, Mapping) and not is_syntax(value)
        yield path, value if is_plain else section
    elif section is not _ABSENT:
        yield path, section


def _set_leaf(section: Any, path: str, value: str) -> None:
    *parents, last = path.split(".")
    for key in parents:
        section = section[int(key)] if isinstance(section, list) else section[key]
    section[last] = value


def _in_full(section: Any) -> Any:
    """Put the package's name back."""
    if isinstance(section, Mapping):
        return {key: full_name(part) if key == "_target_" else _in_full(part) for key, part in section.items()}
    return [_in_full(part) for part in section] if isinstance(section, list) else section


def _is_derived(path: str, leaves: Mapping[str, Any]) -> bool:
    """Whether an argument, or one that it is a part of, follows from other sections, such as channels."""
    parts = path.split(".")
    return any(is_syntax(leaves.get(".".join(parts[:length]))) for length in range(1, len(parts) + 1))


def _shown(section: Any) -> str:
    return (
        "none" if section is None else own_name(str(section.get("_target_"))) if isinstance(section, Mapping) else "?"
    )
