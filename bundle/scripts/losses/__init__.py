# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Losses for episodic training."""

from .episode_loss import EpisodeLoss
from .sentence_loss import SentenceLoss

__all__ = ["EpisodeLoss", "SentenceLoss"]
