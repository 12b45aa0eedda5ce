# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What MONAI's engines lack for episodes."""

from scripts.engines.prepare_batch import PrepareEpisode

__all__ = ["PrepareEpisode"]
