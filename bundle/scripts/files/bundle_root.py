# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Where the files that belong to the code lie: configurations and descriptions of classes."""

from __future__ import annotations

from pathlib import Path

__all__ = ["BUNDLE_ROOT", "CONFIGS", "PROMPTS"]

_PACKAGE = Path(__file__).resolve().parents[1]

BUNDLE_ROOT = _PACKAGE if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent
"""The bundle's folder; of an installed package, the package itself, which then holds ``configs`` and ``prompts``."""

CONFIGS = BUNDLE_ROOT / "configs"
PROMPTS = BUNDLE_ROOT / "prompts"
