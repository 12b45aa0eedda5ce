# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
from torch import nn

from scripts.networks.adaptation import with_parameters


def test_other_values_for_one_call() -> None:
    network = nn.Linear(2, 1, bias=False)
    own = network.weight
    before = own.detach().clone()
    lent = torch.tensor([[2.0, 3.0]], requires_grad=True)
    result = with_parameters(network, {"weight": lent}, lambda linear: linear(torch.tensor([1.0, 10.0])))
    assert result.item() == 32
    result.backward()
    assert torch.equal(lent.grad, torch.tensor([[1.0, 10.0]]))
    assert network.weight is own
    assert torch.equal(own, before)
    assert own.grad is None


def test_back_after_an_error() -> None:
    network = nn.Linear(2, 1)
    own = dict(network.named_parameters())

    def fail(linear: nn.Linear) -> None:
        assert linear.weight.sum() == 0
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        with_parameters(network, {"weight": torch.zeros(1, 2)}, fail)
    assert all(network.get_parameter(name) is parameter for name, parameter in own.items())


def test_nothing_to_lend() -> None:
    network = nn.Linear(2, 1)
    assert with_parameters(network, {}, lambda linear: linear.weight) is network.weight
