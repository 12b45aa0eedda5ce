# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What may be taken from a checkpoint to build a network.

A checkpoint is data, and must not run code of its choice. Of what it brings are taken only: ``_target_``s that the
shipped configurations name for hosts, backbones and text; expressions (``$``) that stand there word for word; plain
values; references to the sections themselves, the bundle's folder, and the data set's keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from monai.bundle import ConfigParser
from monai.bundle.config_item import ConfigComponent
from monai.bundle.reference_resolver import ReferenceResolver

from ...files.bundle_root import CONFIGS
from .network_sections import BACKBONE, OF_THE_DATA, PLACES
from .own_config import own_names
from .own_names import own_name

__all__ = ["ShippedParts", "is_syntax", "refuse_foreign", "shipped_parts", "targets_of"]

_SYNTAX = ("$", "@", "%")
_MODES = ("callable", "default")
_SOURCES = ("train.json", "inference.json", "hosts/*.json", "backbones/*.json", "text/*.json", "recipes/*.json")


class ShippedParts(NamedTuple):
    """What the shipped configurations have for networks."""

    targets: frozenset[str]
    """without the package's name."""
    expressions: frozenset[str]
    """as they stand in the files."""
    ids: frozenset[str]
    """of sections."""


def refuse_foreign(section: Any, id_: str, path: str) -> None:
    """Refuse a section of a checkpoint that holds anything but this bundle's own parts of a network.

    Args:
        section: plain JSON.
        id_: of the section.
        path: of the checkpoint, for messages.

    Raises:
        ValueError: naming the section and what it holds.
    """
    targets, expressions, ids = shipped_parts()
    name = id_.replace("::", "#")
    if id_ not in ids:
        raise ValueError(f"{path} brings a section {name}, which builds no network of this bundle")
    for target, mode in targets_of(section):
        if target not in targets or mode not in _MODES:
            raise ValueError(
                f"{path}: {name} is built by {target}, which isn't a part that this bundle ships for a "
                "network; give the overlay that names it"
            )
    known = {f"@{key}" for key in (*ids, *PLACES, *OF_THE_DATA)}
    for text in _texts(section):
        is_known = text in (known if text.startswith("@") else expressions)
        if is_syntax(text) and not is_known:
            raise ValueError(f"{path}: {name} holds the expression {text!r}, which this bundle doesn't ship")
    cache_file = section.get("cache_file") if isinstance(section, Mapping) else None
    if cache_file is not None and cache_file not in expressions:
        raise ValueError(f"{path}: {name} would write to {cache_file!r}, expected the bundle's own cache")


@cache
def shipped_parts() -> ShippedParts:
    """Gather what the shipped configurations have for networks."""
    targets: set[str] = set()
    expressions: set[str] = set()
    ids = {"backbone_def", "host_def", "guidance_def", "text_table", "text_encoder_def", BACKBONE}
    for pattern in _SOURCES:
        for file in sorted(CONFIGS.glob(pattern)):
            written = ConfigParser.load_config_file(file)
            content = own_names(written)
            own = dict.fromkeys(ReferenceResolver.normalize_id(key) for key in content)
            if file.parent.name == "text":
                ids.update(id_ for id_ in own if ConfigComponent.is_instantiable(content.get(id_)))
            for key, section in content.items():
                if ReferenceResolver.normalize_id(key) in ids:
                    targets.update(target for target, _ in targets_of(section))
                    texts = (*_texts(section), *_texts(written[key]))
                    expressions.update(own_name(text) for text in texts if text.startswith("$"))
    return ShippedParts(frozenset(targets), frozenset(expressions), frozenset(ids))


def targets_of(section: Any) -> Iterator[tuple[str, str]]:
    """Yield (``_target_`` without the package's name, ``_mode_``) of all components."""
    if isinstance(section, Mapping):
        if "_target_" in section:
            yield own_name(str(section["_target_"])), str(section.get("_mode_", "default"))
        for part in section.values():
            yield from targets_of(part)
    elif isinstance(section, list):
        for part in section:
            yield from targets_of(part)


def _texts(section: Any) -> Iterator[str]:
    if isinstance(section, str):
        yield section
    elif isinstance(section, Mapping | list):
        for part in section.values() if isinstance(section, Mapping) else section:
            yield from _texts(part)


def is_syntax(value: Any) -> bool:
    """Whether a value is an expression, a reference or a macro."""
    return isinstance(value, str) and value.startswith(_SYNTAX)
