# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A process that torchrun didn't start is told so."""

from __future__ import annotations

import pytest
import torch

from scripts.engines import join_processes


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
