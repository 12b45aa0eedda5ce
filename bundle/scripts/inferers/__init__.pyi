# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Inferers: tasks with one prompt, and whole volumes from annotated slices or other cases."""

from .episode_inferer import EpisodeInferer
from .label_map import LabelMapInferer
from .propagation_inferer import PropagationInferer
from .reference_inferer import ReferenceInferer
from .volume.session import VolumeSession

__all__ = ["EpisodeInferer", "LabelMapInferer", "PropagationInferer", "ReferenceInferer", "VolumeSession"]
