# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Inferers: tasks with one prompt, and whole volumes from annotated slices or other cases."""

from scripts.inferers.episode_inferer import EpisodeInferer
from scripts.inferers.label_map import LabelMapInferer
from scripts.inferers.propagation_inferer import PropagationInferer
from scripts.inferers.reference_inferer import ReferenceInferer
from scripts.inferers.volume_session import VolumeSession

__all__ = ["EpisodeInferer", "LabelMapInferer", "PropagationInferer", "ReferenceInferer", "VolumeSession"]
