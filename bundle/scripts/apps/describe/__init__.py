# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CD-TG's Text Generation Unit: a language model describes classes, and its answers become standard sentences."""

from .describe import describe
from .language_model import LanguageModel, LanguageModelError
from .sentence import RefusedAnswerError, standardise

__all__ = ["LanguageModel", "LanguageModelError", "RefusedAnswerError", "describe", "standardise"]
