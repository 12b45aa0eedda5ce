# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Refinement of any host's logits by the query image itself."""

from .colour_cut import ColourCut, ColourPrompt

__all__ = ["ColourCut", "ColourPrompt"]
