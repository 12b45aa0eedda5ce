# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The workflow `prepare`: fetch, unpack, verify and describe a public data set."""

from .catalogue import CATALOGUE, Archive, DatasetEntry
from .workflow import prepare

__all__ = ["CATALOGUE", "Archive", "DatasetEntry", "prepare"]
