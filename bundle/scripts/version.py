# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The version, which stands once: in the bundle's metadata, where MONAI reads it too."""

from __future__ import annotations

from .files.bundle_root import CONFIGS
from .files.read_json import read_json_object

__all__ = ["version"]


def version() -> str:
    """Version of the code, as ``configs/metadata.json`` says it."""
    return str(read_json_object(CONFIGS / "metadata.json")["version"])
