# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The adapter: nothing at the start, a bottleneck beside an identity after."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scripts.networks.language.adapters.bottleneck import Bottleneck


def by_hand(released: bool) -> Bottleneck:
    """W1 x + b1 = x_0 - x_1; W2 h + b2 = (2 h - 1, -h)."""
    adapter = Bottleneck(2, 1, released)
    with torch.no_grad():
        adapter.fc1.weight.copy_(torch.tensor([[1.0, -1.0]]))
        adapter.fc1.bias.zero_()
        adapter.fc2.weight.copy_(torch.tensor([[2.0], [-1.0]]))
        adapter.fc2.bias.copy_(torch.tensor([-1.0, 0.0]))
    return adapter


@pytest.mark.parametrize(
    ("x", "released", "update"),
    [
        ([3.0, 1.0], False, [3.0, -2.0]),
        ([3.0, 1.0], True, [3.0, 0.0]),
        ([1.0, 3.0], False, [-1.0, 0.0]),  # the bottleneck's ReLU closes
        ([1.0, 3.0], True, [0.0, 0.0]),
    ],
)
def test_values_by_hand(x: list[float], released: bool, update: list[float]) -> None:
    adapter, given = by_hand(released), torch.tensor([x])
    torch.testing.assert_close(adapter(given, with_identity=False), torch.tensor([update]))
    torch.testing.assert_close(adapter(given), given + torch.tensor([update]))


@pytest.mark.parametrize("shape", [(1, 6), (2, 5, 6), (2, 3, 4, 6)])
def test_the_start_is_the_identity_but_in_the_released_form(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape)
    assert torch.equal(Bottleneck(6, 3)(x), x)
    assert not torch.equal(Bottleneck(6, 3, released=True)(x), x)


def test_a_ruled_out_start_would_not_learn() -> None:
    """Why no ReLU follows a last layer of zeros."""
    adapter = Bottleneck(4, 2, released=True)
    nn.init.zeros_(adapter.fc2.weight)
    nn.init.zeros_(adapter.fc2.bias)
    adapter(torch.rand(3, 4)).sum().backward()
    assert not any(bool(value.grad.any()) for value in adapter.parameters() if value.grad is not None)


def test_the_start_can_learn() -> None:
    adapter = Bottleneck(4, 2)
    adapter(torch.rand(3, 4)).sum().backward()
    assert adapter.fc2.bias.grad is not None
    assert torch.equal(adapter.fc2.bias.grad, torch.full((4,), 3.0))
