# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The sections of a configuration that build a network, as a checkpoint keeps them.

Kept are backbone, host, text guidance and text table, with all plain values that they refer to put in their place, so
that overlays and keys of the training aren't needed to build the network again. Not kept is what an evaluation chooses:
the data set and its descriptions of classes (``prompts_file``), refinement, adaptation, image size. Of a network that
words prompt, which is not put together from backbone and host, the names alone are kept: its overlay builds it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from monai.bundle import ConfigParser
from monai.bundle.config_item import ConfigComponent, ConfigExpression
from monai.bundle.reference_resolver import ReferenceResolver

from ...files.digest import file_digest
from .own_names import own_name
from .plain_values import is_plain
from .running_config import running_config

__all__ = ["BACKBONE", "NAMES", "OF_THE_DATA", "PLACES", "NetworkSections", "describe_network", "network_sections"]

PLACES = frozenset({"bundle_root", "device", "output_dir", "feature_cache_dir"})
"""Keys that say where something lies, or runs: always those of the running configuration."""
OF_THE_DATA = frozenset({"prompts_file", "dataset_dir", "dataset_name"})
"""Keys that belong to the data set: always those of the running configuration."""
NAMES = ("host_name", "text_name")
BACKBONE = "network_def::backbone"
"""Where a recipe may put a backbone that trains."""
_LEFT_OUT = ("_desc_", "_disabled_", "_requires_")


class NetworkSections(NamedTuple):
    """What builds a network."""

    names: dict[str, str]
    """what summaries call it: ``host_name``, ``text_name``."""
    sections: dict[str, Any]
    """id -> its section, plain JSON; None where there is none, as of the text table without text. Empty for a network
    that its overlay alone can build."""
    files: dict[str, dict[str, str]]
    """dotted path of an argument that names a file -> its ``path`` and ``sha256``."""
    encodes: bool = True
    """whether the backbone is frozen, so that its features may take the place of images."""

    def as_json(self) -> str:
        """The string that checkpoints keep."""
        return json.dumps(self._asdict(), sort_keys=True)


def describe_network() -> str:
    """Describe the network of the configuration that calls this, which builds it.

    Returns:
        JSON, for ``TrainingCheckpoint``.

    Raises:
        RuntimeError: when no configuration is running.
    """
    return network_sections(running_config("describe_network").parser).as_json()


def network_sections(parser: ConfigParser) -> NetworkSections:
    """Gather what builds the network of a parsed configuration; see :func:`describe_network`."""
    gathering = _Gathering(parser)
    names = {name: str(parser.get_parsed_content(name)) for name in NAMES if name in parser}
    sections = gathering.sections()
    encodes = parser.get("encode_transforms", None) != []
    return NetworkSections(names, sections, gathering.files, encodes)


class _Gathering:
    """Walks from the network to the sections that it is made of."""

    def __init__(self, parser: ConfigParser) -> None:
        self.parser = parser
        self.files: dict[str, dict[str, str]] = {}
        self._waiting: list[str] = []

    def sections(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if BACKBONE not in self.parser:
            return found
        if ConfigComponent.is_instantiable(self.parser[BACKBONE]):
            found[BACKBONE] = self._kept(BACKBONE, self.parser[BACKBONE], BACKBONE)
        self._waiting += [*ReferenceResolver.match_refs_pattern(str(self.parser[BACKBONE]))]
        self._waiting += ["host_def", "text_table"]
        while self._waiting:
            id_ = self._waiting.pop(0)
            if id_ not in found:
                found[id_] = None
                found[id_] = self._kept(id_, self.parser[id_], id_)
        return found

    def _kept(self, id_: str, raw: Any, path: str) -> Any:
        if ConfigComponent.is_instantiable(raw):
            if self.parser.get_parsed_content(id_) is None:
                return None
            kept = {
                key: self._kept(f"{id_}::{key}", part, f"{path}.{key}")
                for key, part in raw.items()
                if key not in _LEFT_OUT and not (key == "cache_file" and not _is_in_bundle(part))
            }
            return {**kept, "_target_": own_name(str(raw["_target_"]))}
        if isinstance(raw, dict):
            return {key: self._kept(f"{id_}::{key}", part, f"{path}.{key}") for key, part in raw.items()}
        if isinstance(raw, list):
            return [self._kept(f"{id_}::{index}", part, f"{path}.{index}") for index, part in enumerate(raw)]
        return self._text(id_, raw, path) if isinstance(raw, str) else raw

    def _text(self, id_: str, raw: str, path: str) -> Any:
        references = list(ReferenceResolver.match_refs_pattern(raw))
        if not references and not ConfigExpression.is_expression(raw):
            return self._file_or_text(raw, path)
        tops = {ReferenceResolver.split_id(reference)[0] for reference in references}
        is_expression = ConfigExpression.is_expression(raw)
        if tops & OF_THE_DATA or (tops <= PLACES and not is_expression) or (tops & PLACES and is_expression):
            return own_name(raw)
        value = self.parser.get_parsed_content(id_ if is_expression else references[0])
        if isinstance(value, str):
            return self._file_or_text(value, path)
        if is_plain(value):
            return json.loads(json.dumps(value))
        self._waiting += references
        return own_name(raw)

    def _file_or_text(self, text: str, path: str) -> str:
        file = Path(text).expanduser()
        try:
            is_file = file.is_file()
        except OSError:  # longer than a name may be
            is_file = False
        if not is_file:
            return text
        self.files[path] = {"path": str(file.absolute()), "sha256": file_digest(file)}
        return str(file.absolute())


def _is_in_bundle(place: Any) -> bool:
    """Whether a place is said from the bundle's folder; any other is this machine's."""
    return ConfigExpression.is_expression(place) and "@bundle_root" in place
