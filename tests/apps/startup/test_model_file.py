# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The model file: a plain state dict, in half precision where it is floating point."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from scripts.apps.startup.model_file import write_model


class ToyNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.register_buffer("count", torch.tensor([3, 70000]))
        self.register_buffer("text", torch.tensor([7, 200], dtype=torch.uint8))


def test_half_precision_and_whole_numbers(tmp_path: Path) -> None:
    network = ToyNetwork()
    path = write_model(network, tmp_path / "models" / "model.pt")
    state = torch.load(path, weights_only=True)
    assert {key: value.dtype for key, value in state.items()} == {
        "layer.weight": torch.float16, "layer.bias": torch.float16, "count": torch.int64, "text": torch.uint8,
    }  # fmt: skip
    assert state["count"].tolist() == [3, 70000]
    other = ToyNetwork()
    other.load_state_dict(state)
    assert other.layer.weight.dtype == torch.float32
    assert torch.allclose(other.layer.weight, network.layer.weight, atol=1e-3)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(ToyNetwork(), tmp_path / "model.pt")
    before = path.read_bytes()

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left to write"):
        write_model(ToyNetwork(), path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["model.pt"]
