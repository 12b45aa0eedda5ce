# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What MONAI's engines lack for episodes."""

from .prepare_batch import PrepareEpisode
from .prepare_task import PrepareTask
from .prepare_volume import PrepareVolume
from .processes import handlers_of_process, join_processes
from .trainable import parameter_groups, trainable_parameters

__all__ = [
    "PrepareEpisode",
    "PrepareTask",
    "PrepareVolume",
    "handlers_of_process",
    "join_processes",
    "parameter_groups",
    "trainable_parameters",
]
