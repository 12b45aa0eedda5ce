# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The code behind the workflows' commands: start-up checks, writing of files, figures and reports.

Only what a config calls by this room's name is imported here; figures and reports (matplotlib) are imported from
their modules.
"""

from .startup.checkpoint_network import network_of_checkpoint
from .startup.config_check import refuse_unknown_ids
from .startup.errors import tell_cause_last
from .startup.experiment_values import describe_experiment
from .startup.model_file import write_model
from .startup.network_sections import describe_network

__all__ = [
    "describe_experiment",
    "describe_network",
    "network_of_checkpoint",
    "refuse_unknown_ids",
    "tell_cause_last",
    "write_model",
]
