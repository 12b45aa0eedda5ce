# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Hashes of everything on disk that a result depends on: configuration, code, data set, and files that it names."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

from monai.bundle.config_item import ConfigComponent
from monai.bundle.config_parser import ConfigParser
from monai.bundle.reference_resolver import ReferenceResolver

from ...apps.startup.assembly import CONFIGS
from ...apps.startup.own_config import settle
from ...files.cache_root import cache_root
from ...files.digest import file_digest

__all__ = ["Identity", "code_digest", "config_digests", "digest_once", "listing_digest", "named_files"]

_NAMES_A_FILE = re.compile(r"(^|_)(file|path|weights|model|episode_list|test_list)$")
_MADE_BY_RUNS = re.compile(r"^(cache|index|output)_file$|_output$")
_CACHE = cache_root()  # follows from what is hashed itself


class Identity(TypedDict):
    """Everything that the result of a cell depends on; a hash each where it lies on disk."""

    configs: dict[str, str]
    files: dict[str, str]
    code: str
    data: str
    checkpoint: str | None
    num_shots: int
    seed: int
    options: dict[str, Any]


def config_digests(files: Sequence[str]) -> dict[str, str]:
    """Hash of every configuration file, by its path below ``configs``; one's own by its full path."""
    return {_shown(Path(file), CONFIGS): digest_once(Path(file)) for file in files}


def named_files(files: Sequence[str], **overrides: Any) -> dict[str, str]:
    """Hash of every file that a configuration names: descriptions of classes, embeddings, weights.

    Counted are strings that are the path of a file, expressions under a key that names a file (``prompts_file``), and
    under such a key a folder, such as that of a language model. Caches aren't: they follow from the rest.

    Args:
        files: configuration files.
        overrides: values over them; ``bundle_root`` is the bundle's own.

    Returns:
        Path below the bundle, or full path -> hash.
    """
    parser = ConfigParser()
    parser.read_config(list(files))
    parser.update({"bundle_root": str(CONFIGS.parent), **overrides})
    settle(parser)
    parser.get_parsed_content("imports", eval_expr=True)
    found = {}
    for id_, key, value in list(_strings(parser.get())):
        if _MADE_BY_RUNS.search(key):
            continue
        names_file = _NAMES_A_FILE.search(key) is not None
        if value.startswith(("$", "@")):
            if not names_file or not _is_plain(parser, value):
                continue
            value = parser.get_parsed_content(id_)
        if not isinstance(value, str | Path):
            continue
        path = Path(os.path.expanduser(value))
        if path.is_relative_to(_CACHE):
            continue
        if os.path.isfile(path):  # False also for a sentence that is too long for a path
            found[_shown(path, CONFIGS.parent)] = digest_once(path)
        elif names_file and os.path.isdir(path):
            found[_shown(path, CONFIGS.parent)] = listing_digest(path)
    return found


def listing_digest(folder: Path) -> str:
    """Hash of the names, sizes and times of all files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            status = path.stat()
            digest.update(f"{path.relative_to(folder).as_posix()} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@cache
def code_digest() -> str:
    """Hash of the bundle's Python sources: other code may give other results."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def digest_once(path: Path) -> str:
    """SHA-256 of a file; weights that many cells share are read once."""
    status = path.stat()
    return _digest_of_state(path.resolve(), status.st_size, status.st_mtime_ns)


@cache
def _digest_of_state(path: Path, size: int, time: int) -> str:
    return file_digest(path)


def _strings(value: Any, id_: str = "", key: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (id, key, string) of all strings; those of a list go by the list's key."""
    if isinstance(value, str):
        yield id_, key, value
    elif isinstance(value, Mapping | list):
        for name, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            own_key = str(name) if isinstance(value, Mapping) else key
            yield from _strings(part, f"{id_}::{name}" if id_ else str(name), own_key)


def _is_plain(parser: ConfigParser, value: str, seen: frozenset[str] = frozenset()) -> bool:
    """Whether evaluating a string builds nothing: what it refers to, directly or not, holds no component."""
    for id_ in ReferenceResolver.match_refs_pattern(value):
        if id_ in seen or id_ not in parser or _holds_component(parser[id_]):
            return False
        if not all(_is_plain(parser, part, seen | {id_}) for _, _, part in _strings(parser[id_])):
            return False
    return True


def _holds_component(value: Any) -> bool:
    if ConfigComponent.is_instantiable(value):
        return True
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(_holds_component(part) for part in parts)


def _shown(path: Path, root: Path) -> str:
    full = path.resolve()
    return full.relative_to(root).as_posix() if full.is_relative_to(root) else full.as_posix()
