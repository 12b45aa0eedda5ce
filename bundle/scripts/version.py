# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The version, which stands once: in the bundle's metadata, where MONAI reads it too."""

from __future__ import annotations

import json

from .files.bundle_root import CONFIGS

__all__ = ["version"]


def version() -> str:
    """Version of the code, as ``configs/metadata.json`` says it."""
    return str(json.loads((CONFIGS / "metadata.json").read_text(encoding="utf-8"))["version"])
