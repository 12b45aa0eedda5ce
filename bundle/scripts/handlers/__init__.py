# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Ignite handlers that MONAI lacks: metrics per case, checkpoints that survive an interruption."""

from .case_metrics import CASE_COLUMNS, CaseMetrics
from .checkpoint import TrainingCheckpoint
from .experiment import Experiment
from .records import checkpoint_record, experiment_hash, name_of
from .shipped_checkpoint import shipped_checkpoint
from .validation_loss import ValidationLoss
from .weights import load_weights, read_checkpoint

__all__ = [
    "CASE_COLUMNS",
    "CaseMetrics",
    "Experiment",
    "TrainingCheckpoint",
    "ValidationLoss",
    "checkpoint_record",
    "experiment_hash",
    "load_weights",
    "name_of",
    "read_checkpoint",
    "shipped_checkpoint",
]
