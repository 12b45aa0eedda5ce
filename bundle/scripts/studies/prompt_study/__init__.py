# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Does the text matter? One trained network, the same episodes, other words."""

from .alpha_sweep import alpha_sweep
from .workflow import prompt_study

__all__ = ["alpha_sweep", "prompt_study"]
