# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A process that torchrun didn't start is told so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ignite.handlers import ProgressBar
from monai.handlers import LrScheduleHandler, StatsHandler, TensorBoardStatsHandler, ValidationHandler

from scripts.engines import handlers_of_process, join_processes


def test_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(RuntimeError, match="torchrun --standalone"):
        join_processes("gloo", torch.device("cpu"))


def test_one_process_is_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}.items():
        monkeypatch.setenv(key, value)
    join_processes("gloo", torch.device("cpu"))
    try:
        join_processes("gloo", torch.device("cpu"))  # a second workflow in the same process
        assert torch.distributed.get_world_size() == 1
    finally:
        torch.distributed.destroy_process_group()


def test_reports_come_from_the_first_process_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the order is: a validation that one process lacked would let the others wait for ever."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = LrScheduleHandler(torch.optim.lr_scheduler.StepLR(optimizer, 1))
    validation = ValidationHandler(1)
    handlers = [ProgressBar(), StatsHandler(), schedule, TensorBoardStatsHandler(log_dir=str(tmp_path)), validation]
    assert handlers_of_process(handlers) == handlers
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert handlers_of_process(handlers) == [schedule, validation]
