# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Configurations, written for the bundle, as the installed package runs them.

They name the code ``scripts`` and write below ``@bundle_root``. Installed, the code has another name, and two names of
one code must not meet in a process (each would have classes of its own); and nothing may be written beside it. In a
bundle everything stays as it is.
"""

from __future__ import annotations

import re
from typing import Any

from monai.bundle import ConfigParser

from ...files.cache_root import cache_root
from ...own_name import BUNDLE_PACKAGE, PACKAGE, is_bundle

__all__ = ["own_names", "own_path", "settle"]

# Strings are left alone; so are references (@scripts, @train#scripts, @a::scripts), attributes and keyword arguments.
_NAME = re.compile(
    r"""(?P<text>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|(?<![\w.@#%])(?<!::)"""
    + re.escape(BUNDLE_PACKAGE)
    + r"(?!\w)(?!\s*=[^=])"
)
_OUTPUT = re.compile(r"@bundle_root\s*\+\s*(['\"])/output/")
_CACHE = re.compile(r"@bundle_root\s*\+\s*(['\"])/cache/")


def own_path(target: str) -> str:
    """The dotted path of a ``_target_`` under the name of this process."""
    if target.startswith(f"{BUNDLE_PACKAGE}."):
        return PACKAGE + target.removeprefix(BUNDLE_PACKAGE)
    return target


def own_names(config: Any) -> Any:
    """A copy of a configuration that calls this code by its own name, and keeps its files where a user may write.

    Changed are ``_target_`` and expressions (``$import scripts.data``, ``$scripts.data.with_flips(...)``). Results go
    below the working directory, caches to :func:`~...files.cache_root.cache_root`. Other strings stay as they are.
    """
    if is_bundle():
        return config
    if isinstance(config, dict):
        return {
            key: own_path(value)
            if key == "_target_" and isinstance(value, str) and not value.startswith("$")
            else own_names(value)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [own_names(value) for value in config]
    if isinstance(config, str) and config.startswith("$"):
        return _own_expression(config)
    return config


def settle(parser: ConfigParser) -> ConfigParser:
    """Bring a parser, before anything is built, to the names of this process; macros (%) are resolved for that."""
    if not is_bundle():
        parser.resolve_macro_and_relative_ids()
        parser.config = own_names(parser.config)
    return parser


def _own_expression(expression: str) -> str:
    renamed = _NAME.sub(lambda match: match["text"] or PACKAGE, expression)
    placed = _OUTPUT.sub(r"\1output/", renamed)
    cache = cache_root().as_posix().replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')
    return _CACHE.sub(lambda match: f"{match[1]}{cache}/", placed)
