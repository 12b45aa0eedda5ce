# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The name under which this code runs: ``scripts`` in a bundle, ``segprompt`` where it is installed."""

from __future__ import annotations

__all__ = ["BUNDLE_PACKAGE", "PACKAGE", "is_bundle"]

BUNDLE_PACKAGE = "scripts"
"""What MONAI calls the code of any bundle; configurations name this code so."""

PACKAGE = __name__.partition(".")[0]
"""The top-level name of this code in this process."""


def is_bundle() -> bool:
    """Whether this code runs as the code of a bundle."""
    return PACKAGE == BUNDLE_PACKAGE
