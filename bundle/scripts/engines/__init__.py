# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What MONAI's engines lack for episodes."""

from scripts.engines.prepare_batch import PrepareEpisode
from scripts.engines.prepare_task import PrepareTask
from scripts.engines.prepare_volume import PrepareVolume
from scripts.engines.processes import join_processes
from scripts.engines.trainable import parameter_groups, trainable_parameters

__all__ = [
    "PrepareEpisode",
    "PrepareTask",
    "PrepareVolume",
    "join_processes",
    "parameter_groups",
    "trainable_parameters",
]
