# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Weights come from a training checkpoint or a plain state dict, and every error names the file."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from scripts.files import atomic
from scripts.handlers import load_weights, read_checkpoint
from scripts.handlers.weights import load_state


def test_weights_load_from_a_checkpoint_or_a_plain_state_dict(tmp_path):
    network = torch.nn.Linear(2, 1)
    atomic.write_torch(tmp_path / "plain.pt", network.state_dict())
    atomic.write_torch(tmp_path / "training.pt", {"model": network.state_dict(), "best": {}})
    for name in ("plain.pt", "training.pt"):
        other = torch.nn.Linear(2, 1)
        assert load_weights(other, tmp_path / name) is other
        assert torch.equal(other.weight, network.weight)
    before = other.weight.clone()
    assert torch.equal(load_weights(other, None).weight, before)


def test_unreadable_checkpoints_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*none.pt"):
        read_checkpoint(tmp_path / "none.pt")
    atomic.write_torch(tmp_path / "whole.pt", {"weight": torch.rand(100)})
    (tmp_path / "half.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:300])
    with pytest.raises(ValueError, match=r"half.pt can't be read as a checkpoint"):
        read_checkpoint(tmp_path / "half.pt")
    torch.save({"path": Path("x")}, tmp_path / "objects.pt")
    with pytest.raises(ValueError, match=r"objects.pt can't be read .* more than tensors and plain values"):
        read_checkpoint(tmp_path / "objects.pt")
    torch.save(torch.rand(2), tmp_path / "tensor.pt")
    with pytest.raises(ValueError, match=r"tensor.pt holds a Tensor, expected a state dict"):
        read_checkpoint(tmp_path / "tensor.pt")


def test_another_key_of_a_checkpoint(tmp_path):
    network, average = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    atomic.write_torch(tmp_path / "t.pt", {"model": network.state_dict(), "average": average.state_dict()})
    assert torch.equal(load_weights(torch.nn.Linear(2, 1), tmp_path / "t.pt", key="average").weight, average.weight)


@pytest.mark.parametrize(("learns", "lines"), [(True, 1), (False, 0)])
def test_a_trainable_network_without_weights_is_told(caplog, learns, lines):
    with caplog.at_level(logging.WARNING):
        load_weights(torch.nn.Linear(2, 1).requires_grad_(learns), None)
    assert [record.getMessage() for record in caplog.records] == [
        "no checkpoint given: what is trainable in this network is at its start"
    ] * lines


def test_weights_of_another_network_name_the_file_and_are_cut_short(tmp_path):
    atomic.write_torch(tmp_path / "w.pt", {f"layer_{number}.{'x' * 1000}": torch.zeros(1) for number in range(20)})
    with pytest.raises(ValueError, match=r"w\.pt doesn't fit this network: Error\(s\) in loading state_dict") as caught:
        load_weights(torch.nn.Linear(2, 1), tmp_path / "w.pt")
    lines = str(caught.value).splitlines()
    assert len(lines) <= 8
    assert lines[-1].endswith(" …")
    assert max(map(len, lines)) < 500


def test_part_of_a_networks_weights_is_not_enough(tmp_path):
    atomic.write_torch(tmp_path / "w.pt", {"weight": torch.zeros(1, 2)})
    with pytest.raises(ValueError, match=r'Missing key\(s\) in state_dict: "bias"'):
        load_weights(torch.nn.Linear(2, 1), tmp_path / "w.pt")


def test_a_state_of_something_else_names_what_it_was_for():
    optimizer = torch.optim.SGD(torch.nn.Linear(2, 1).parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"^last\.pt doesn't fit this optimizer: "):
        load_state(optimizer, {"state": {}}, "last.pt", name="optimizer")
