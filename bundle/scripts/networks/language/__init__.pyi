# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Networks that segment what words ask for; see docs/language.md."""

from .biomedclipseg.load import load_biomedclipseg
from .clip_tokens import ClipTokens, NetworkSentences
from .clipseg.load import load_adapted_clipseg, load_clipseg
from .clipseg.network import CLIPSeg
from .cris.load import load_cris
from .lsms.network import LSMS
from .segmenter import ImageFeatures, LanguageSegmenter

__all__ = [
    "LSMS",
    "CLIPSeg",
    "ClipTokens",
    "ImageFeatures",
    "LanguageSegmenter",
    "NetworkSentences",
    "load_adapted_clipseg",
    "load_biomedclipseg",
    "load_clipseg",
    "load_cris",
]
