# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The code behind the workflows' commands: start-up checks, writing of files, figures and reports.

Only what a config calls by this room's name is imported here; figures and reports (matplotlib) are imported from
their modules.
"""

from .startup.config_check import refuse_unknown_ids
from .startup.errors import tell_cause_last
from .startup.model_file import write_model

__all__ = ["refuse_unknown_ids", "tell_cause_last", "write_model"]
