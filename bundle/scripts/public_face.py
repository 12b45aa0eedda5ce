# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a package offers under its own name, as its stub ``__init__.pyi`` lists it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import lazy_loader

from .own_name import BUNDLE_PACKAGE

__all__ = ["public_face"]


def public_face(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make ``__getattr__``, ``__dir__`` and ``__all__`` of a package from its stub.

    Installed, the package imports a name when it is asked for, so that a command starts without what it doesn't use. In
    a bundle all names are imported at once: there the top-level name ``scripts`` may belong to another bundle later.

    Args:
        package: its ``__name__``.
        file: its ``__file__``.
    """
    attribute, names, public = lazy_loader.attach_stub(package, file)
    if package.partition(".")[0] == BUNDLE_PACKAGE:
        for name in public:
            setattr(sys.modules[package], name, attribute(name))
    return attribute, names, public
