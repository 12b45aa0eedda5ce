# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Weight files: what fits, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from scripts.networks.backbones.weights import load_by_name, load_in_order


def test_by_name(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    torch.save(
        {"0.weight": torch.eye(2), "1.weight": torch.full([2], 3.0), "head.bias": torch.ones(1)}, tmp_path / "a.pth"
    )
    missing = load_by_name(network, tmp_path / "a.pth", ignored=("head.",))
    assert missing == ["0.bias", "1.bias", "1.running_mean", "1.running_var"]
    assert torch.equal(network[0].weight, torch.eye(2))
    assert network[1].weight.tolist() == [3, 3]


def test_in_order() -> None:
    network = nn.Linear(2, 1)
    load_in_order(
        network,
        {"a": torch.tensor([[1.0, 2.0]]), "x.num_batches_tracked": torch.tensor(1), "b": torch.tensor([3.0])},
        "f",
    )
    assert network(torch.tensor([[1.0, 1.0]])).item() == 6


def test_errors(tmp_path: Path) -> None:
    network = nn.Conv2d(3, 4, 1)
    with pytest.raises(FileNotFoundError, match="no_such"):
        load_by_name(network, tmp_path / "no_such.safetensors")
    save_file({"conv9.weight": torch.zeros(1)}, tmp_path / "odd.safetensors")
    with pytest.raises(ValueError, match=r"odd.safetensors.*conv9.weight"):
        load_by_name(network, tmp_path / "odd.safetensors")
    save_file({"weight": torch.zeros(1)}, tmp_path / "shape.safetensors")
    with pytest.raises(ValueError, match=r"weight has shape \(1,\), expected \(4, 3, 1, 1\)"):
        load_by_name(network, tmp_path / "shape.safetensors")
    with pytest.raises(ValueError, match="3 tensors, the network has 2"):
        load_in_order(nn.Linear(2, 2), {"a": torch.zeros(2, 2), "b": torch.zeros(2), "c": torch.zeros(1)}, "f.pth")
    with pytest.raises(ValueError, match=r"f.pth: a has shape \(3,\), weight needs \(2, 2\)"):
        load_in_order(nn.Linear(2, 2), {"a": torch.zeros(3), "b": torch.zeros(2)}, "f.pth")
