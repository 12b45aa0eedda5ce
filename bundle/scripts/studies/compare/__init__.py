# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The workflow ``configs/compare.json``: hosts side by side on several targets."""

from .workflow import compare

__all__ = ["compare"]
